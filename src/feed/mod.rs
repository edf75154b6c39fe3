//! The core API: append events, read accounts, subscribe to them.
//!
//! A [`Feed`] does all of it, in your own process and without HTTP. A [`Hub`](crate::Hub) has one
//! ([`Hub::feed`](crate::Hub::feed)); [`Feed::start`] makes one without a hub.

// From a commit to a client: `publisher` (the ledger's `CommitListener`) → `topics`, each with its `version` and
// `tail` → `fanout` → `direct_delivery` → a transport's `Sink`; or else `reader`, in the task of the connection.
//
// A wake-up carries no data, and each reader owns its position. After a commit the account's topic gets a new version, and every reader compares it with its own position. It reads what it lacks from the tail
// (`tail`), or else from the ledger, so replay and live reading are the same code. For a live reader the fanout
// (`fanout`) may write to the connection without waking the reader's task: see `direct_delivery`.

mod accounts;
mod batch;
mod calendar;
mod clock;
mod core;
mod direct_delivery;
mod error;
mod fanout;
mod history;
mod message;
mod message_builder;
mod options;
mod publisher;
mod reader;
mod receipt;
mod subscription;
mod tail;
mod topics;
mod version;

use std::{sync::Arc, thread};

use jiff::Timestamp;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

pub(crate) use batch::{Batch, Encoding};
pub use clock::{Clock, ManualClock};
pub(crate) use direct_delivery::{DirectDelivery, Sink};
pub use error::{AppendError, Interrupted, PastTotalsError, ProfileError, RevokeError};
pub use history::History;
#[cfg(feature = "schema")]
pub(crate) use message::{Live, Rollover, Snapshot, UpdateJson};
pub use message::{Message, MessageKind, Reason};
pub(crate) use options::{BadOption, parse_limit, parse_recent};
pub use options::{Mode, SubscribeOptions};
pub(crate) use reader::FeedReader;
pub use receipt::{Outcome, Receipt, Status};
pub use subscription::Subscription;

use self::{
    calendar::Calendar,
    clock::LedgerTime,
    core::{Core, QUEUE_JOBS, QUEUE_KIB, RECOUNTS_MAX},
    fanout::Fanout,
    message::ENTRIES_BYTES_MAX,
    options::{HISTORY_DEFAULT, HISTORY_MAX, RECENT_DEFAULT, RECENT_MAX},
    publisher::Publisher,
    topics::Topics,
};
use crate::{
    domain::{Account, CheckedEvent, Epoch, Event, Invalid, StoredRevocation},
    ledger::{
        AccountView, EntryRange, Job, Ledger, LedgerError, Readers, Requester, Unavailable, Writer,
    },
};

/// A ledger that can be appended to, read and followed. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Feed {
    core: Arc<Core>,
    /// For whom it reads; `None` where nobody is known.
    subject: Option<Arc<str>>,
}

impl Feed {
    /// The most recent entries that a snapshot may hold.
    pub const RECENT_MAX: usize = RECENT_MAX;
    /// The number of recent entries in a snapshot by default.
    pub const RECENT_DEFAULT: usize = RECENT_DEFAULT;
    /// The most entries of one page of history.
    pub const HISTORY_MAX: usize = HISTORY_MAX;
    /// The number of entries in a page of history by default.
    pub const HISTORY_DEFAULT: usize = HISTORY_DEFAULT;

    /// Starts a feed on a ledger, with threads of its own: one writes, some read, and one waits for midnight in the
    /// followed time zones. They end when all clones of the feed and all its subscriptions are dropped.
    ///
    /// # Errors
    /// When the ledger cannot be opened.
    pub fn start(ledger: &dyn Ledger) -> Result<Self, LedgerError> {
        Self::start_at(ledger, Clock::system())
    }

    /// Like [`start`](Self::start), with a clock other than the machine's.
    ///
    /// # Errors
    /// When the ledger cannot be opened.
    pub fn start_at(ledger: &dyn Ledger, clock: Clock) -> Result<Self, LedgerError> {
        let clock_changed = clock.changed().clone();
        let time = Arc::new(LedgerTime::new(clock, ledger.recorded_until()));
        let topics = Arc::new(Topics::new(ledger.epoch()));
        let fanout = Arc::new(Fanout::new());
        let calendar = Arc::new(Calendar::new(time.clone(), clock_changed));
        let (jobs, queue) = mpsc::channel(QUEUE_JOBS);
        let (poison, poisoned) = watch::channel(false);
        let publisher = Publisher {
            epoch: ledger.epoch(),
            time: time.clone(),
            topics: topics.clone(),
            fanout: fanout.clone(),
            poison,
        };
        let writer = Writer::new(ledger.writer()?, publisher, queue);
        spawn("ledger-write", move || writer.run())?;
        let core = Core {
            epoch: ledger.epoch(),
            time,
            topics,
            fanout,
            calendar: calendar.clone(),
            readers: Readers::start(ledger)?,
            jobs,
            queue_kib: Arc::new(Semaphore::new(QUEUE_KIB)),
            recounts: Arc::new(Semaphore::new(RECOUNTS_MAX)),
            poisoned,
        };
        // Started last: dropping `core` ends it.
        spawn("ledger-calendar", move || calendar.run())?;
        Ok(Self {
            core: Arc::new(core),
            subject: None,
        })
    }

    /// The same feed, which reads for this subject: a person or a service, such as the `sub` of a token.
    ///
    /// Reads of different subjects take turns, however many each of them has, and each subject has a bound on its
    /// heavy requests: past totals, and edits of the time zone of a large account. Without a subject that holds for
    /// each account.
    #[must_use]
    pub fn for_subject(&self, subject: impl Into<Arc<str>>) -> Self {
        Self {
            core: self.core.clone(),
            subject: Some(subject.into()),
        }
    }

    fn requester(&self, account: &Account) -> Requester {
        Requester::new(self.subject.as_ref(), account)
    }

    /// Records one event. Returns once it is durable. Appending the same event again records nothing and returns
    /// the first receipt, with the status `Duplicate`.
    ///
    /// Dropping the future does not undo what was sent to the ledger: append the same event again to learn
    /// its outcome.
    ///
    /// # Errors
    /// When the event is refused, or the ledger is unavailable. In the second case the event may have been recorded:
    /// append the same event again.
    pub async fn append(&self, event: Event) -> Result<Receipt, AppendError> {
        let mut outcomes = self.append_all(vec![event]).await?;
        match outcomes.pop() {
            Some(Outcome::Recorded(receipt) | Outcome::Duplicate(receipt)) => Ok(receipt),
            Some(Outcome::Conflict(invalid)) => Err(AppendError::Conflict(invalid)),
            Some(Outcome::Rejected(invalid)) => Err(AppendError::Rejected(invalid)),
            None => Err(AppendError::Unavailable(Unavailable::Closed)),
        }
    }

    /// Records events in order and independently: a refused event does not stop the others. Returns one
    /// outcome per event once all are durable.
    ///
    /// # Errors
    /// When the ledger is unavailable. Events may have been recorded: append the same events again to learn
    /// their outcomes.
    pub async fn append_all(&self, events: Vec<Event>) -> Result<Vec<Outcome>, Unavailable> {
        self.append_reported(events.into_iter().map(Ok)).await
    }

    /// Like [`append_all`](Self::append_all). An event that was refused while it was read is an `Err`, and gets
    /// its outcome in its place.
    pub(crate) async fn append_reported(
        &self,
        events: impl Iterator<Item = Result<Event, Invalid>>,
    ) -> Result<Vec<Outcome>, Unavailable> {
        let (valid, refusals) = split(events.map(|event| event.and_then(Event::check)));
        let mut appended = self.core.append(valid).await?.into_iter();
        let outcomes = refusals.into_iter().map(|refusal| match refusal {
            Some(invalid) => Some(Outcome::Rejected(invalid)),
            None => appended
                .next()
                .map(|appended| Outcome::new(appended, self.core.epoch)),
        });
        Ok(outcomes.flatten().collect())
    }

    /// Follows an account. Nothing is read until the subscription is polled.
    #[must_use]
    pub fn subscribe(&self, account: Account, options: SubscribeOptions) -> Subscription {
        Subscription::new(self.reader(account, options))
    }

    /// Follows an account, for a transport.
    pub(crate) fn reader(&self, account: Account, options: SubscribeOptions) -> FeedReader {
        FeedReader::new(self.core.clone(), self.subject.clone(), account, options)
    }

    /// The whole state of an account as one message, with the latest `recent` entries (at most 100).
    /// Cancel-safe.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn snapshot(&self, account: &Account, recent: usize) -> Result<Message, Unavailable> {
        let (requester, reason) = (self.requester(account), Reason::Initial);
        let read = self.core.snapshot(requester, account, recent, reason);
        read.await.map(|(snapshot, _)| snapshot)
    }

    /// Entries before the offset `before`, newest first, at most `limit` (1 to 200). `None` starts at the latest
    /// entry. Cancel-safe.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn history(
        &self,
        account: &Account,
        before: Option<u64>,
        limit: usize,
    ) -> Result<History, Unavailable> {
        let before = EntryRange::Before {
            offset: before.unwrap_or(u64::MAX),
            count: limit.clamp(1, Self::HISTORY_MAX),
            bytes: ENTRIES_BYTES_MAX,
        };
        let view = self.view(account, before).await?;
        Ok(History::back(self.core.epoch, view))
    }

    /// Entries after the offset `after`, oldest first, at most `limit` (1 to 200). Cancel-safe.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn history_after(
        &self,
        account: &Account,
        after: u64,
        limit: usize,
    ) -> Result<History, Unavailable> {
        let after = EntryRange::After {
            offset: after,
            count: limit.clamp(1, Self::HISTORY_MAX),
            bytes: ENTRIES_BYTES_MAX,
        };
        let view = self.view(account, after).await?;
        Ok(History::forth(self.core.epoch, view))
    }

    async fn view(
        &self,
        account: &Account,
        entries: EntryRange,
    ) -> Result<AccountView, Unavailable> {
        let requester = self.requester(account);
        self.core.readers.view(requester, account, entries).await
    }

    /// Ends the ledger's threads: earlier calls are completed, later ones fail with
    /// [`Unavailable::Closed`]. When it returns, the storage is closed and may be opened again, copied or
    /// removed. Cancel-safe; a second call waits for the same end.
    pub async fn close(&self) {
        // An error means that the writer has ended already.
        drop(self.core.jobs.send(Job::Close).await);
        self.core.jobs.closed().await;
        self.core.readers.close().await;
    }

    /// Stores a revocation. Dropping the future does not undo what was sent to the ledger.
    pub(crate) async fn revoke(&self, revocation: StoredRevocation) -> Result<(), Unavailable> {
        let (answer, revoked) = oneshot::channel();
        let job = Job::Revoke { revocation, answer };
        self.core.run(job, revoked).await
    }

    /// All stored revocations. Cancel-safe.
    pub(crate) async fn revocations(&self) -> Result<Vec<StoredRevocation>, Unavailable> {
        self.core.readers.revocations().await
    }

    /// Whether the ledger records events. Once false, it stays false until the ledger is opened again.
    #[must_use]
    pub fn is_available(&self) -> bool {
        !*self.core.poisoned.borrow() && !self.core.jobs.is_closed()
    }

    /// Resolves when the outcome of a commit is unknown: then the process should restart. Otherwise it never
    /// resolves. Cancel-safe.
    pub async fn failed(&self) {
        let mut poisoned = self.core.poisoned.clone();
        if poisoned.wait_for(|poisoned| *poisoned).await.is_err() {
            // The writer ended without a failure: this never resolves.
            std::future::pending::<()>().await;
        }
    }

    /// The epoch of the ledger, the random id of its history.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.core.epoch
    }

    /// The time that days and months are counted by. It is never before the last commit.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.core.now()
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), LedgerError> {
    let thread = thread::Builder::new().name(name.to_owned());
    let spawned = thread.spawn(work);
    spawned
        .map(drop)
        .map_err(|error| LedgerError::new(error.to_string()))
}

/// Separates the valid events from the refused ones. The second list has one item per event: its refusal, or
/// `None` for the next valid one.
fn split(
    events: impl Iterator<Item = Result<CheckedEvent, Invalid>>,
) -> (Vec<CheckedEvent>, Vec<Option<Invalid>>) {
    let mut valid = Vec::with_capacity(events.size_hint().0);
    let refusals = events.map(|event| match event {
        Ok(event) => {
            valid.push(event);
            None
        }
        Err(invalid) => Some(invalid),
    });
    let refusals = refusals.collect();
    (valid, refusals)
}
