use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use tokio_util::sync::ReusableBoxFuture;

use super::{error::Interrupted, message::Message, reader::FeedReader};
use crate::{
    domain::{Account, Position},
    ledger::Unavailable,
};

/// Reads the messages of one account, in order, from a position of its own. Made by
/// [`Feed::subscribe`](super::Feed::subscribe).
///
/// There are two ways to read. Call [`next`](Self::next), hand the message to the client, then call
/// [`applied`](Self::applied): a message that was not applied comes again. Or use it as a [`Stream`], where every
/// message counts as applied once the stream has yielded it. On a subscription itself, `next` is always the
/// first way; the stream's own is `StreamExt::next(&mut subscription)`.
///
/// ```
/// use futures_util::StreamExt;
/// # use tallycast::{Account, Event, Feed, Memory, SubscribeOptions};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let feed = Feed::start(&Memory::new())?;
/// let alice = feed.subscribe(Account::parse("alice")?, SubscribeOptions::default());
/// feed.append(Event::consumption("order-1", "alice", "12.50", "CNY")).await?;
/// let mut messages = alice.take(2);
/// assert_eq!(messages.next().await.unwrap()?.name(), "snapshot");
/// assert_eq!(messages.next().await.unwrap()?.name(), "live");
/// # Ok(())
/// # }
/// ```
pub struct Subscription {
    account: Account,
    /// Absent while `read` owns it.
    reader: Option<Box<FeedReader>>,
    /// The read of the next message. Its memory is reused.
    read: ReusableBoxFuture<'static, PendingRead>,
    position: Option<Position>,
    /// Whether the stream has reported that the ledger is closed.
    has_ended: bool,
}

type PendingRead = (Box<FeedReader>, Result<Message, Interrupted>);

impl Subscription {
    pub(super) fn new(reader: FeedReader) -> Self {
        Self {
            account: reader.account().clone(),
            reader: Some(Box::new(reader)),
            read: ReusableBoxFuture::new(read(None)),
            position: None,
            has_ended: false,
        }
    }

    /// The account that it follows.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The position after the last applied message; `None` before the first.
    #[must_use]
    pub fn position(&self) -> Option<&Position> {
        self.position.as_ref()
    }

    /// Waits for the next message. Cancel-safe: the same message comes again until [`applied`](Self::applied) is
    /// called for it.
    ///
    /// # Errors
    /// When the account was erased, which is reported once, or when the ledger cannot be read. Call it again to
    /// continue.
    pub async fn next(&mut self) -> Result<Message, Interrupted> {
        poll_fn(|cx| self.poll_message(cx)).await
    }

    /// Marks `message` as applied: the position moves past it. Any message other than the last one from
    /// [`next`](Self::next) is ignored.
    pub fn applied(&mut self, message: &Message) {
        if let Some(reader) = &mut self.reader {
            reader.applied(message);
            self.position = reader.position();
        }
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message, Interrupted>> {
        if let Some(reader) = self.reader.take() {
            self.read.set(read(Some(reader)));
        }
        let (reader, message) = ready!(self.read.poll(cx));
        self.reader = Some(reader);
        Poll::Ready(message)
    }
}

/// One function for all reads, so that their futures have the same size.
async fn read(reader: Option<Box<FeedReader>>) -> PendingRead {
    let mut reader = reader.expect("it is polled only while it owns the reader");
    let message = reader.next().await;
    (reader, message)
}

/// Every message once. An error does not end the stream, and polling it again asks again; only a closed ledger ends it.
impl Stream for Subscription {
    type Item = Result<Message, Interrupted>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let message = ready!(self.poll_message(cx));
        match &message {
            Ok(message) => self.applied(message),
            Err(interrupted) => {
                let closed = Interrupted::Unavailable(Unavailable::Closed);
                self.has_ended = *interrupted == closed;
            }
        }
        Poll::Ready(Some(message))
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("account", &self.account)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_may_be_shared_between_threads() {
        fn is_shareable<T: Send + Sync>() {}
        is_shareable::<Subscription>();
    }
}
