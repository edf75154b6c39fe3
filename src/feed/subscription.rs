use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::Stream;

use super::{error::Interrupted, message::Message, reader::FeedReader};
use crate::domain::{Account, Position};

/// Reads the messages of one account, in order, from a position of its own. Made by
/// [`Feed::subscribe`](super::Feed::subscribe).
///
/// There are two ways to read. Call [`next`](Self::next), hand the message to the client, then call
/// [`applied`](Self::applied): a message that was not applied comes again. Or use it as a [`Stream`], where every
/// message counts as applied once the stream has yielded it.
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
    /// Absent while `pending` owns it.
    reader: Option<Box<FeedReader>>,
    /// The read of the next message, while it is not finished.
    pending: Option<Pin<Box<dyn Future<Output = PendingRead> + Send>>>,
    position: Option<Position>,
}

type PendingRead = (Box<FeedReader>, Result<Message, Interrupted>);

impl Subscription {
    pub(super) fn new(reader: FeedReader) -> Self {
        Self {
            account: reader.account().clone(),
            reader: Some(Box::new(reader)),
            pending: None,
            position: None,
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
        if let Some(mut reader) = self.reader.take() {
            self.pending = Some(Box::pin(async move {
                let message = reader.next().await;
                (reader, message)
            }));
        }
        let pending = self.pending.as_mut();
        let pending = pending.expect("the reader is either here or in the pending future");
        let (reader, message) = ready!(pending.as_mut().poll(cx));
        self.pending = None;
        self.reader = Some(reader);
        Poll::Ready(message)
    }
}

/// Yields every message once. The stream never ends; after an error, poll it again to continue.
impl Stream for Subscription {
    type Item = Result<Message, Interrupted>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let message = ready!(self.poll_message(cx));
        if let Ok(message) = &message {
            self.applied(message);
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
