//! The threads that read the ledger, and who waits for them.

mod queue;
mod requester;
mod slots;

use std::{sync::Arc, thread, time::Duration};

use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};
use tokio_util::task::TaskTracker;

pub(crate) use queue::Weight;
pub(crate) use requester::Requester;
pub(crate) use slots::ReadSlot;

use self::{
    queue::{QueueClosed, QueuedRead, ReadQueue, THREADS},
    slots::ReadSlots,
};
use super::{
    AccountView, EntryRange, Ledger, LedgerError, LedgerReader, Unavailable, recount::count_page,
};
use crate::{
    domain::{Account, Recount, StoredRevocation},
    limit_report::LimitReport,
};

/// How many reads may be queued, for one requester and for all: each takes about half a KiB. Further callers wait to
/// enqueue theirs.
const QUEUED_EACH_MAX: usize = 256;
const QUEUED_MAX: usize = 16 * 1_024;
/// How many heavy requests may be under way, of one requester and of all, from the first read until the client has
/// taken the answer. An answer is usually below a megabyte. Four are as many as an app's screen has charts.
const HEAVY_EACH_MAX: usize = 4;
const HEAVY_MAX: usize = 256;
/// How many further heavy requests of a requester wait for these: a burst is served. Those beyond are refused.
const HEAVY_WAITING_MAX: usize = 60;
/// How long a heavy request waits before it is refused. A refusal comes that late in any case, so that a client that
/// repeats its request at once does not keep the server busy with refusals.
const HEAVY_WAIT_MAX: Duration = Duration::from_secs(2);
/// When to repeat a refused heavy request: about as long as a client has waited already.
const HEAVY_RETRY_AFTER: Duration = Duration::from_secs(2);

static HEAVY_READS: LimitReport = LimitReport::new(
    "heavy_reads",
    "a token's subject asks for too many past totals or time zones at once; this limit is fixed",
);

/// The threads that read the ledger.
#[derive(Debug)]
pub(crate) struct Readers {
    queue: Arc<ReadQueue>,
    queued: Arc<ReadSlots>,
    heavy: Arc<ReadSlots>,
    threads: TaskTracker,
}

impl Readers {
    /// Starts the threads. They end when this is dropped.
    ///
    /// # Errors
    /// When the storage cannot be opened, or a thread cannot be started.
    pub(crate) fn start(ledger: &dyn Ledger) -> Result<Self, LedgerError> {
        let readers = Self {
            queue: Arc::new(ReadQueue::new()),
            queued: Arc::new(ReadSlots::new(QUEUED_EACH_MAX, QUEUED_MAX)),
            heavy: Arc::new(ReadSlots::new(HEAVY_EACH_MAX, HEAVY_MAX)),
            threads: TaskTracker::new(),
        };
        for number in 0..THREADS {
            let (mut reader, queue) = (ledger.reader()?, readers.queue.clone());
            let alive = readers.threads.token();
            thread::Builder::new()
                .name(format!("ledger-read-{number}"))
                .spawn(move || {
                    while let Some(read) = queue.next() {
                        read.run(&mut *reader);
                    }
                    drop(alive);
                })
                .map_err(|error| LedgerError::new(error.to_string()))?;
        }
        Ok(readers)
    }

    /// Refuses new reads, and waits until the threads have answered the queued ones. Cancel-safe.
    pub(crate) async fn close(&self) {
        self.queue.close();
        self.threads.close();
        self.threads.wait().await;
    }

    /// An account's state and some of its entries. Cancel-safe.
    pub(crate) async fn view(
        &self,
        requester: Requester,
        account: &Account,
        entries: EntryRange,
    ) -> Result<AccountView, Unavailable> {
        let account = account.clone();
        self.read(requester, Weight::Light, move |reader| {
            reader.view(&account, entries)
        })
        .await
    }

    /// Counts an account's days further, up to its last entry. That takes about two seconds per million entries, in
    /// steps between which other reads get their turns. Cancel-safe.
    pub(crate) async fn count(
        &self,
        requester: &Requester,
        account: &Account,
        mut recount: Recount,
    ) -> Result<Recount, Unavailable> {
        loop {
            let account = account.clone();
            let step = move |reader: &mut dyn LedgerReader| {
                let is_complete = count_page(&mut recount, |offset, count| {
                    reader.happened_after(&account, offset, count)
                })?;
                Ok((recount, is_complete))
            };
            let (counted, is_complete) = self.read(requester.clone(), Weight::Heavy, step).await?;
            if is_complete {
                return Ok(counted);
            }
            recount = counted;
        }
    }

    /// All stored revocations. Cancel-safe.
    pub(crate) async fn revocations(&self) -> Result<Vec<StoredRevocation>, Unavailable> {
        self.read(Requester::Server, Weight::Light, |reader| {
            reader.revocations()
        })
        .await
    }

    /// Lets a heavy request begin: it holds the slot until its answer is no longer in memory. It waits a while if the
    /// requester has too many. Cancel-safe.
    ///
    /// # Errors
    /// [`Unavailable::TooManyRequests`] if it got none in time.
    pub(crate) async fn heavy_slot(&self, requester: Requester) -> Result<ReadSlot, Unavailable> {
        let caller = self.heavy.enter(requester);
        if caller.before() < HEAVY_EACH_MAX + HEAVY_WAITING_MAX {
            if let Ok(slot) = timeout(HEAVY_WAIT_MAX, caller.take()).await {
                return Ok(slot);
            }
        } else {
            drop(caller);
            sleep(HEAVY_WAIT_MAX).await;
        }
        HEAVY_READS.turned_away(HEAVY_EACH_MAX);
        Err(Unavailable::TooManyRequests {
            retry_after: HEAVY_RETRY_AFTER,
        })
    }

    /// Reads on one of the threads, when it is the requester's turn. Cancel-safe.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        requester: Requester,
        weight: Weight,
        read: impl FnOnce(&mut dyn LedgerReader) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let slot = self.queued.enter(requester.clone()).take().await;
        let (answer, result) = oneshot::channel();
        let read: QueuedRead = Box::new(move |reader| {
            drop(slot);
            // The caller may have hung up while this was queued.
            if !answer.is_closed() {
                drop(answer.send(read(reader)));
            }
        });
        let queued = self.queue.push(requester, weight, read);
        queued.map_err(|QueueClosed| Unavailable::Closed)?;
        let result = result.await.map_err(|_| Unavailable::Closed)?;
        result
            .inspect_err(|error| tracing::warn!(%error, "the ledger could not be read"))
            .map_err(Unavailable::from)
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.queue.close();
    }
}
