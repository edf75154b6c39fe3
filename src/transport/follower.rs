//! One reader of an account, for a transport that stays open.

use std::{fmt, pin::Pin, sync::Arc};

use tokio::time::Instant;

use super::{
    drain::Drain,
    expiry::{self, Expiry},
    farewell::Farewell,
};
use crate::{
    access::Grant,
    domain::{Account, Position},
    feed::{Feed, Interrupted, Message, Rider, Sink, SubscribeOptions, Subscription},
};

/// What a connection has to tell its client next.
#[derive(Debug)]
pub(super) enum Told {
    /// A message of the feed.
    Message(Message),
    /// The grant ends soon.
    Expiring(Expiry),
    /// The last word.
    Farewell(Farewell),
}

/// A subscription, and what may end it: its grant, its account, the server.
pub(super) struct Follower {
    subscription: Subscription,
    rider: Option<Arc<Rider>>,
    drain: Drain,
    expiry: Option<Expiry>,
    /// Kept between calls: whoever waits for messages does not set timers for each.
    ending: Pin<Box<dyn Future<Output = Ending> + Send>>,
}

#[derive(Debug, Clone, Copy)]
enum Ending {
    Notice,
    Expired,
    Leave,
}

impl Follower {
    pub(super) fn new(
        feed: &Feed,
        grant: &Grant,
        account: Account,
        options: SubscribeOptions,
        drain: Drain,
    ) -> Self {
        let expiry = Expiry::new(grant.expires_at());
        Self {
            subscription: feed.subscribe(account, options),
            rider: None,
            ending: ending(drain.clone(), expiry, None),
            drain,
            expiry,
        }
    }

    /// Also tells before its grant ends: for clients that can show a new token.
    #[must_use]
    pub(super) fn with_notice(mut self) -> Self {
        self.watch_expiry(self.expiry.map(|expiry| expiry.notice));
        self
    }

    /// While it waits in `next`, what is committed may be written to `sink` at once, and does not come then.
    #[must_use]
    pub(super) fn riding(mut self, sink: impl Sink) -> Self {
        self.rider = Some(self.subscription.ride(sink));
        self
    }

    /// Goes on with a new grant of the same account.
    pub(super) fn renew(&mut self, grant: &Grant) {
        self.expiry = Expiry::new(grant.expires_at());
        self.watch_expiry(self.expiry.map(|expiry| expiry.notice));
    }

    pub(super) fn account(&self) -> &Account {
        self.subscription.account()
    }

    /// When its grant ends, if it does while anybody waits.
    pub(super) fn ends_at(&self) -> Option<Instant> {
        self.expiry.map(|expiry| expiry.end)
    }

    /// How far the client is.
    pub(super) fn position(&self) -> Option<Position> {
        match &self.rider {
            Some(rider) => rider.position(),
            None => self.subscription.position().copied(),
        }
    }

    /// What comes next; waits for it. Cancel-safe: a message comes again until it was `applied`.
    pub(super) async fn next(&mut self) -> Told {
        tokio::select! {
            biased;
            ending = &mut self.ending => match ending {
                Ending::Leave => Told::Farewell(Farewell::Shutdown),
                Ending::Expired => Told::Farewell(Farewell::Expired),
                Ending::Notice => {
                    self.watch_expiry(None);
                    self.expiry.map_or(Told::Farewell(Farewell::Expired), Told::Expiring)
                }
            },
            next = self.subscription.next() => match next {
                Ok(message) => Told::Message(message),
                Err(Interrupted::Erased) => Told::Farewell(Farewell::Erased),
                Err(_) => Told::Farewell(Farewell::Unavailable),
            },
        }
    }

    /// The connection has taken the message.
    pub(super) fn applied(&mut self, message: &Message) {
        self.subscription.applied(message);
    }

    fn watch_expiry(&mut self, notice: Option<Instant>) {
        self.ending = ending(self.drain.clone(), self.expiry, notice);
    }
}

fn ending(
    drain: Drain,
    expiry: Option<Expiry>,
    notice: Option<Instant>,
) -> Pin<Box<dyn Future<Output = Ending> + Send>> {
    Box::pin(async move {
        tokio::select! {
            biased;
            () = drain.turn_to_leave() => Ending::Leave,
            () = expiry::at(expiry.map(|expiry| expiry.end)) => Ending::Expired,
            () = expiry::at(notice) => Ending::Notice,
        }
    })
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower")
            .field("subscription", &self.subscription)
            .finish_non_exhaustive()
    }
}
