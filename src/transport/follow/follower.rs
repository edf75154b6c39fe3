//! The reader of an account, for a transport that has one account per connection.

use std::{fmt, pin::Pin};

use super::{
    close_reason::CloseReason,
    drain::Drain,
    expiry::{AuthExpiring, Expiry},
};
use crate::{
    access::{Grant, OpenGrant},
    domain::{Account, Position},
    feed::{FeedReader, Message, Sink},
    quota::OpenSubscription,
    transport::limits::CLOSING_TIMEOUT,
};

/// What a connection must send or do next.
pub(crate) enum FollowEvent {
    /// A message of the feed.
    Message(Message),
    /// The grant ends soon.
    Expiring(AuthExpiring),
    /// The connection must close.
    Close(CloseReason),
}

/// A reader, and what may end it: its grant, a revocation, an erasure of its account, or a shutdown of the server.
pub(crate) struct Follower {
    reader: FeedReader,
    drain: Drain,
    expiry: Expiry,
    open: OpenGrant,
    _subscription: OpenSubscription,
    /// Kept between calls, so that waiting for a message does not set up new timers.
    end: Pin<Box<dyn Future<Output = EndReason> + Send>>,
}

enum EndReason {
    /// The grant ends soon.
    EndsSoon,
    Close(CloseReason),
}

impl Follower {
    pub(super) fn new(
        reader: FeedReader,
        grant: &Grant,
        open: OpenGrant,
        drain: Drain,
        subscription: OpenSubscription,
    ) -> Self {
        let expiry = Expiry::new(grant);
        Self {
            reader,
            open,
            end: end(drain.clone(), expiry, false),
            drain,
            expiry,
            _subscription: subscription,
        }
    }

    /// Also notifies before the grant ends: for clients that can send a new token.
    #[must_use]
    pub(crate) fn with_notice(mut self) -> Self {
        self.end = end(self.drain.clone(), self.expiry, true);
        self
    }

    /// Allows direct delivery: while it waits in `next`, commits may be written to `sink`, and `next` does not return
    /// them.
    #[must_use]
    pub(crate) fn delivering_to(mut self, sink: impl Sink) -> Self {
        self.reader.deliver_directly(sink);
        self
    }

    /// Continues with a new grant for the same account.
    pub(crate) fn renew(&mut self, grant: &Grant) {
        self.open.renew(grant);
        self.expiry = Expiry::new(grant);
        self.end = end(self.drain.clone(), self.expiry, true);
    }

    pub(crate) fn account(&self) -> &Account {
        self.reader.account()
    }

    /// Resolves when the connection must no longer wait for a client that takes no data: a moment after its grant has
    /// ended, in which a closing message may still be written. Cancel-safe.
    pub(crate) fn write_must_end(&self) -> impl Future<Output = ()> {
        let (expiry, open) = (self.expiry, &self.open);
        async move {
            tokio::select! {
                () = expiry.ended() => {}
                _ = open.ended() => {}
            }
            tokio::time::sleep(CLOSING_TIMEOUT).await;
        }
    }

    /// The client's position.
    pub(crate) fn position(&self) -> Option<Position> {
        self.reader.position()
    }

    /// The next event; waits for it. Cancel-safe: a message comes again until it was `applied`.
    pub(crate) async fn next(&mut self) -> FollowEvent {
        tokio::select! {
            biased;
            end = self.open.ended() => FollowEvent::Close(end.into()),
            reason = &mut self.end => match reason {
                EndReason::Close(reason) => FollowEvent::Close(reason),
                EndReason::EndsSoon => {
                    self.end = end(self.drain.clone(), self.expiry, false);
                    let notice = self.expiry.notice();
                    notice.map_or(FollowEvent::Close(CloseReason::Expired), FollowEvent::Expiring)
                }
            },
            next = self.reader.next() => match next {
                Ok(message) => FollowEvent::Message(message),
                Err(interrupted) => FollowEvent::Close(interrupted.into()),
            },
        }
    }

    /// Marks the message as taken by the connection.
    pub(crate) fn applied(&mut self, message: &Message) {
        self.reader.applied(message);
    }
}

fn end(
    drain: Drain,
    expiry: Expiry,
    with_notice: bool,
) -> Pin<Box<dyn Future<Output = EndReason> + Send>> {
    Box::pin(async move {
        tokio::select! {
            biased;
            () = drain.turn_to_close() => EndReason::Close(CloseReason::Shutdown),
            () = expiry.ended() => EndReason::Close(CloseReason::Expired),
            () = expiry.ends_soon(), if with_notice => EndReason::EndsSoon,
        }
    })
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower")
            .field("reader", &self.reader)
            .finish_non_exhaustive()
    }
}
