//! The waist: append events, read accounts, subscribe to them.
//!
//! A wake-up carries no data and each reader owns its position: after a commit the account's head
//! moves, and every subscription reads what lies behind its own position, from the tail or else from
//! the ledger. Replay and live are the same code. A live subscription may ride: then its position is moved
//! for it, as long as the tail has what it lacks and its connection takes that at once.

mod accounts;
mod announcer;
mod batch;
mod calendar;
mod clock;
mod fanout;
mod heads;
mod message;
mod receipt;
mod rider;
mod subscription;
mod tail;

use std::{sync::Arc, thread};

use jiff::Timestamp;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

pub(crate) use batch::{Batch, Encoding};
pub use clock::{Clock, ClockHand};
pub use message::{History, Message, MessageKind, Reason};
#[cfg(feature = "schema")]
pub(crate) use message::{Live, Rollover, Snapshot, UpdateJson};
pub use receipt::{AppendError, Outcome, Receipt, Status};
pub(crate) use rider::{Rider, Sink};
pub use subscription::{Interrupted, Mode, SubscribeOptions, Subscription};

use self::{
    announcer::Announcer,
    calendar::Calendar,
    clock::LedgerTime,
    heads::Heads,
    message::{MessageBuilder, Origin},
};
use crate::{
    domain::{Account, AccountState, CheckedEvent, Epoch, Event, Invalid, Position},
    ledger::{
        AccountView, Appended, EntryRange, Job, Ledger, LedgerError, Readers, Unavailable, Writer,
    },
};

/// How many appends may wait for the writer, and their size in KiB; the next ones wait outside, at
/// their callers.
const QUEUE_JOBS: usize = 1_024;
const QUEUE_KIB: usize = 64 * 1_024;
/// The most bytes of one message.
const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// The most bytes of entries in one message: a slow client's wait for one is short. Beside very long
/// totals there is room for fewer.
const ENTRIES_BYTES_MAX: usize = 96 * 1024;

/// A ledger that can be appended to, read and followed. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Feed {
    core: Arc<Core>,
}

#[derive(Debug)]
struct Core {
    epoch: Epoch,
    time: Arc<LedgerTime>,
    heads: Arc<Heads>,
    calendar: Arc<Calendar>,
    readers: Readers,
    jobs: mpsc::Sender<Job>,
    room: Arc<Semaphore>,
    poisoned: watch::Receiver<bool>,
}

impl Drop for Core {
    fn drop(&mut self) {
        self.calendar.close();
    }
}

impl Feed {
    /// The most recent entries that a snapshot may hold.
    pub const RECENT_MAX: usize = 100;
    /// The recent entries of a snapshot unless said.
    pub const RECENT_DEFAULT: usize = 20;
    /// The most entries of one page of history.
    pub const HISTORY_MAX: usize = 200;
    /// The entries of a page of history unless said.
    pub const HISTORY_DEFAULT: usize = 50;

    /// Starts the ledger's threads: one that writes, some that read, and one that waits for days to
    /// turn. They end when the last clone of the feed and its subscriptions are dropped.
    ///
    /// # Errors
    /// When the ledger cannot be opened.
    pub fn start(ledger: &dyn Ledger) -> Result<Self, LedgerError> {
        Self::start_at(ledger, Clock::system())
    }

    /// `start`, with the time of another clock.
    ///
    /// # Errors
    /// When the ledger cannot be opened.
    pub fn start_at(ledger: &dyn Ledger, clock: Clock) -> Result<Self, LedgerError> {
        let bell = clock.bell().clone();
        let time = Arc::new(LedgerTime::new(clock, ledger.recorded_until()));
        let heads = Arc::new(Heads::new(ledger.epoch()));
        let calendar = Arc::new(Calendar::new(time.clone(), bell));
        let (jobs, queue) = mpsc::channel(QUEUE_JOBS);
        let (poison, poisoned) = watch::channel(false);
        let announcer = Announcer {
            epoch: ledger.epoch(),
            time: time.clone(),
            heads: heads.clone(),
            poison,
        };
        let writer = Writer::new(ledger.writer()?, announcer, queue);
        spawn("ledger-write", move || writer.run())?;
        let core = Core {
            epoch: ledger.epoch(),
            time,
            heads,
            calendar: calendar.clone(),
            readers: Readers::start(ledger)?,
            jobs,
            room: Arc::new(Semaphore::new(QUEUE_KIB)),
            poisoned,
        };
        // Once it is owned by what ends it.
        spawn("ledger-calendar", move || calendar.run())?;
        Ok(Self {
            core: Arc::new(core),
        })
    }

    /// Records one event. Answered when it is durable; the same event again answers the same.
    ///
    /// Dropping the future does not undo what was sent to the ledger: append the same event again
    /// to learn what became of it.
    ///
    /// # Errors
    /// When the event is refused, or the ledger is unavailable.
    pub async fn append(&self, event: Event) -> Result<Receipt, AppendError> {
        let mut outcomes = self.append_all(vec![Ok(event)]).await?;
        match outcomes.pop() {
            Some(Outcome::Recorded(receipt) | Outcome::Duplicate(receipt)) => Ok(receipt),
            Some(Outcome::Conflict(invalid)) => Err(AppendError::Conflict(invalid)),
            Some(Outcome::Rejected(invalid)) => Err(AppendError::Rejected(invalid)),
            None => Err(AppendError::Unavailable(Unavailable::Closed)),
        }
    }

    /// Records events in order, each on its own: one that is refused does not stop the others. An
    /// event that was refused before it came here keeps its place as `Err`. Answered when all are
    /// durable.
    ///
    /// # Errors
    /// When the ledger is unavailable; whatever was recorded stands, and the same events again
    /// tell.
    pub async fn append_all(
        &self,
        events: Vec<Result<Event, Invalid>>,
    ) -> Result<Vec<Outcome>, Unavailable> {
        let checked: Vec<Result<CheckedEvent, Invalid>> = events
            .into_iter()
            .map(|event| event.and_then(Event::check))
            .collect();
        let (sound, refusals): (Vec<_>, Vec<_>) = split(checked);
        let mut appended = self.append_checked(sound).await?.into_iter();
        let outcomes = refusals.into_iter().map(|refusal| match refusal {
            Some(invalid) => Some(Outcome::Rejected(invalid)),
            None => appended.next().map(|appended| self.outcome(appended)),
        });
        Ok(outcomes.flatten().collect())
    }

    /// Follows an account. Nothing is read before the first `next`.
    #[must_use]
    pub fn subscribe(&self, account: Account, options: SubscribeOptions) -> Subscription {
        Subscription::new(self.clone(), account, options)
    }

    /// The whole state of an account as one message, with its `recent` last entries (at most 100).
    /// Cancel-safe.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn snapshot(&self, account: &Account, recent: usize) -> Result<Message, Unavailable> {
        let view = self.recent(account, recent).await?;
        let builder = self.builder(account, &view.state);
        Ok(builder.snapshot(&view.entries, Reason::Initial))
    }

    /// Entries before the offset `before`, newest first, at most `limit` (1 to 200). Cancel-safe.
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
        let view = self.core.readers.view(account, before).await?;
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
        let view = self.core.readers.view(account, after).await?;
        Ok(History::forth(self.core.epoch, view))
    }

    /// Ends the ledger's threads: what was asked before is recorded and answered, what comes later is
    /// `Closed`. When it returns, the storage was let go of: it may be opened again, copied, removed.
    /// Cancel-safe; another call waits for the same end.
    pub async fn close(&self) {
        // Where this fails, the writer has ended already.
        drop(self.core.jobs.send(Job::Close).await);
        self.core.jobs.closed().await;
        self.core.readers.close().await;
    }

    /// Whether the ledger records. Once it does not, it will not again until it is opened anew.
    #[must_use]
    pub fn is_available(&self) -> bool {
        !*self.core.poisoned.borrow() && !self.core.jobs.is_closed()
    }

    /// Waits until a commit's outcome is unknown: the process should end and start again.
    /// Cancel-safe.
    pub async fn failed(&self) {
        let mut poisoned = self.core.poisoned.clone();
        if poisoned.wait_for(|poisoned| *poisoned).await.is_err() {
            // The writer is gone without a failure: there is nothing to wait for.
            std::future::pending::<()>().await;
        }
    }

    /// The id of the ledger's history.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.core.epoch
    }

    /// The time by which days and months are counted: never before the last commit.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.core.time.now()
    }

    async fn append_checked(
        &self,
        events: Vec<CheckedEvent>,
    ) -> Result<Vec<Appended>, Unavailable> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let kib = events.iter().map(CheckedEvent::memory_bytes).sum::<usize>() / 1024 + 1;
        let kib = u32::try_from(kib.min(QUEUE_KIB)).expect("the queue has less than 2^32 KiB");
        let room = self.core.room.clone().acquire_many_owned(kib).await;
        let room = room.map_err(|_| Unavailable::Closed)?;
        let (answer, appended) = oneshot::channel();
        let job = Job::Append {
            events,
            answer,
            room,
        };
        self.send(job).await?;
        match appended.await {
            Ok(answer) => answer,
            Err(_) => Err(self.gone().await),
        }
    }

    async fn send(&self, job: Job) -> Result<(), Unavailable> {
        match self.core.jobs.send(job).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.gone().await),
        }
    }

    /// Why the writer does not answer: it was closed and took the job no more, or it panicked, which
    /// leaves the outcome unknown.
    async fn gone(&self) -> Unavailable {
        self.core.jobs.closed().await;
        if *self.core.poisoned.borrow() {
            Unavailable::Poisoned
        } else {
            Unavailable::Closed
        }
    }

    fn outcome(&self, appended: Appended) -> Outcome {
        match appended {
            Appended::Recorded(placed) => {
                Outcome::Recorded(Receipt::new(Status::Recorded, self.core.epoch, &placed))
            }
            Appended::Duplicate(placed) => {
                Outcome::Duplicate(Receipt::new(Status::Duplicate, self.core.epoch, &placed))
            }
            Appended::Conflict(invalid) => Outcome::Conflict(invalid),
            Appended::Rejected(invalid) => Outcome::Rejected(invalid),
        }
    }

    /// An account with its `recent` last entries (at most 100).
    async fn recent(&self, account: &Account, recent: usize) -> Result<AccountView, Unavailable> {
        let last = EntryRange::Last {
            count: recent.min(Self::RECENT_MAX),
            bytes: ENTRIES_BYTES_MAX,
        };
        self.core.readers.view(account, last).await
    }

    fn builder<'a>(&self, account: &'a Account, state: &'a AccountState) -> MessageBuilder<'a> {
        let origin = Origin {
            epoch: self.core.epoch,
            tag: Position::tag_of(self.core.epoch, account, state.generation),
            now: self.now(),
        };
        MessageBuilder::new(account, state, origin)
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), LedgerError> {
    let thread = thread::Builder::new().name(name.to_owned());
    let spawned = thread.spawn(work);
    spawned
        .map(drop)
        .map_err(|error| LedgerError::new(error.to_string()))
}

/// Sorts the sound events from the refused ones, which keep their places.
fn split(checked: Vec<Result<CheckedEvent, Invalid>>) -> (Vec<CheckedEvent>, Vec<Option<Invalid>>) {
    let mut sound = Vec::with_capacity(checked.len());
    let refusals = checked.into_iter().map(|event| match event {
        Ok(event) => {
            sound.push(event);
            None
        }
        Err(invalid) => Some(invalid),
    });
    let refusals = refusals.collect();
    (sound, refusals)
}
