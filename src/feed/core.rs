use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::{
    calendar::Calendar,
    clock::LedgerTime,
    fanout::Fanout,
    message::{ENTRIES_BYTES_MAX, Message, Reason},
    message_builder::{MessageBuilder, Origin},
    options::RECENT_MAX,
    topics::Topics,
};
use crate::{
    domain::{Account, AccountState, CheckedEvent, Epoch, Position, Zone},
    ledger::{
        AccountView, Appended, EntryRange, Job, LedgerReader, Readers, Requester, Unavailable,
        Weight,
    },
};

/// How many append jobs may wait for the writer. Further callers wait before they enqueue.
pub(super) const QUEUE_JOBS: usize = 1_024;

/// The size of all waiting append jobs, in KiB.
pub(super) const QUEUE_KIB: usize = 64 * 1_024;

/// How many edits may count an account's days again at a time. Each holds all days of its account in memory, and the
/// writer then writes all of them at once, so they must not queue there.
pub(super) const RECOUNTS_MAX: usize = 2;

/// What all handles and readers of one ledger share.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) epoch: Epoch,
    pub(super) time: Arc<LedgerTime>,
    pub(super) topics: Arc<Topics>,
    pub(super) fanout: Arc<Fanout>,
    pub(super) calendar: Arc<Calendar>,
    pub(super) readers: Readers,
    pub(super) jobs: mpsc::Sender<Job>,
    /// One permit for each KiB that may wait for the writer.
    pub(super) queue_kib: Arc<Semaphore>,
    pub(super) recounts: Arc<Semaphore>,
    pub(super) poisoned: watch::Receiver<bool>,
}

impl Drop for Core {
    fn drop(&mut self) {
        self.calendar.close();
    }
}

impl Core {
    pub(super) fn now(&self) -> Timestamp {
        self.time.now()
    }

    /// Appends events that passed their checks; waits until they are durable.
    pub(super) async fn append(
        &self,
        events: Vec<CheckedEvent>,
    ) -> Result<Vec<Appended>, Unavailable> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let kib = events.iter().map(CheckedEvent::memory_bytes).sum::<usize>() / 1024 + 1;
        let kib = u32::try_from(kib.min(QUEUE_KIB)).expect("the queue has less than 2^32 KiB");
        let room = self.queue_kib.clone().acquire_many_owned(kib).await;
        let room = room.map_err(|_| Unavailable::Closed)?;
        let (answer, appended) = oneshot::channel();
        self.run(
            Job::Append {
                events,
                answer,
                room,
            },
            appended,
        )
        .await
    }

    /// Sends a job to the writer and waits for its answer.
    pub(super) async fn run<T>(
        &self,
        job: Job,
        answer: oneshot::Receiver<Result<T, Unavailable>>,
    ) -> Result<T, Unavailable> {
        if self.jobs.send(job).await.is_err() {
            return Err(self.writer_ended().await);
        }
        match answer.await {
            Ok(answer) => answer,
            Err(_) => Err(self.writer_ended().await),
        }
    }

    /// Why the writer does not answer: it was closed before it took the job, or it panicked, which leaves
    /// the outcome unknown.
    async fn writer_ended(&self) -> Unavailable {
        self.jobs.closed().await;
        if *self.poisoned.borrow() {
            Unavailable::Poisoned
        } else {
            Unavailable::Closed
        }
    }

    /// A snapshot with the `count` latest entries, at most 100, and the account's time zone. It is built on the
    /// reader's thread: with a large state it takes milliseconds, in which the runtime would serve no client.
    pub(super) async fn snapshot(
        self: &Arc<Self>,
        requester: Requester,
        account: &Account,
        count: usize,
        reason: Reason,
    ) -> Result<(Message, Zone), Unavailable> {
        let last = EntryRange::Last {
            count: count.min(RECENT_MAX),
            bytes: ENTRIES_BYTES_MAX,
        };
        let (core, account) = (self.clone(), account.clone());
        let read = move |reader: &mut dyn LedgerReader| {
            let AccountView { state, entries } = reader.view(&account, last)?;
            let snapshot = core.builder(&account, &state).snapshot(&entries, reason);
            Ok((snapshot, state.profile.time_zone))
        };
        self.readers.read(requester, Weight::Light, read).await
    }

    pub(super) fn builder<'a>(
        &self,
        account: &'a Account,
        state: &'a AccountState,
    ) -> MessageBuilder<'a> {
        let origin = Origin {
            epoch: self.epoch,
            tag: Position::tag_of(self.epoch, account, state.generation),
            now: self.now(),
        };
        MessageBuilder::new(account, state, origin)
    }
}
