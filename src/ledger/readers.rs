use std::thread;

use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use super::{
    AccountView, DayRange, DaysView, EntryRange, Ledger, LedgerError, LedgerReader, Unavailable,
    recount::count_all,
};
use crate::domain::{Account, Recount, StoredRevocation, Zone};

/// Reads are bound by the processor, not by the disk: more threads than this do not help.
const THREADS: usize = 4;
/// How many reads may be queued. Further callers wait to enqueue theirs.
const QUEUED_READS_MAX: usize = 1_024;

/// The threads that read the ledger. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Readers {
    /// Each read wakes only one thread.
    queue: async_channel::Sender<QueuedRead>,
    threads: TaskTracker,
}

/// Reads, and sends the result to the caller.
type QueuedRead = Box<dyn FnOnce(&mut dyn LedgerReader) + Send>;

impl Readers {
    /// Starts the threads. They end when the last clone is dropped.
    ///
    /// # Errors
    /// When the storage cannot be opened, or a thread cannot be started.
    pub(crate) fn start(ledger: &dyn Ledger) -> Result<Self, LedgerError> {
        let (queue, reads) = async_channel::bounded::<QueuedRead>(QUEUED_READS_MAX);
        let threads = TaskTracker::new();
        for number in 0..THREADS {
            let (mut reader, reads) = (ledger.reader()?, reads.clone());
            let alive = threads.token();
            thread::Builder::new()
                .name(format!("ledger-read-{number}"))
                .spawn(move || {
                    while let Ok(read) = reads.recv_blocking() {
                        read(&mut *reader);
                    }
                    drop(alive);
                })
                .map_err(|error| LedgerError::new(error.to_string()))?;
        }
        Ok(Self { queue, threads })
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
        account: &Account,
        entries: EntryRange,
    ) -> Result<AccountView, Unavailable> {
        let account = account.clone();
        self.read(move |reader| reader.view(&account, entries))
            .await
    }

    /// An account's state and some of its past days. Cancel-safe.
    pub(crate) async fn days(
        &self,
        account: &Account,
        days: DayRange,
    ) -> Result<DaysView, Unavailable> {
        let account = account.clone();
        self.read(move |reader| reader.days(&account, days)).await
    }

    /// Counts an account's days again in `zone`, up to its last entry. It occupies one of the threads for
    /// about two seconds per million entries. Cancel-safe.
    pub(crate) async fn recount(
        &self,
        account: &Account,
        zone: Zone,
    ) -> Result<Recount, Unavailable> {
        let account = account.clone();
        self.read(move |reader| {
            let state = reader.view(&account, EntryRange::None)?.state;
            let mut recount = Recount::new(zone, state.generation);
            count_all(&mut recount, |offset, count| {
                reader.happened_after(&account, offset, count)
            })?;
            Ok(recount)
        })
        .await
    }

    /// All stored revocations. Cancel-safe.
    pub(crate) async fn revocations(&self) -> Result<Vec<StoredRevocation>, Unavailable> {
        self.read(|reader| reader.revocations()).await
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut dyn LedgerReader) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let (answer, result) = oneshot::channel();
        let read: QueuedRead = Box::new(move |reader| {
            // The caller may have hung up while this was queued.
            if !answer.is_closed() {
                drop(answer.send(read(reader)));
            }
        });
        let queued = self.queue.send(read).await;
        queued.map_err(|_| Unavailable::Closed)?;
        let result = result.await.map_err(|_| Unavailable::Closed)?;
        result
            .inspect_err(|error| tracing::warn!(%error, "the ledger could not be read"))
            .map_err(Unavailable::from)
    }
}
