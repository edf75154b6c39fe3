use std::thread;

use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use super::{
    AccountView, DayRange, DaysView, EntryRange, Ledger, LedgerError, LedgerReader, Unavailable,
    recount::count_all,
};
use crate::domain::{Account, Recount, Zone};

/// Reads do not wait for the disk but for the processor: more threads than this do not help.
const THREADS: usize = 4;
/// How many reads may wait; the next ones wait outside, at their callers.
const QUEUE: usize = 1_024;

/// The threads that read the ledger for everybody.
#[derive(Debug, Clone)]
pub(crate) struct Readers {
    /// Each read wakes one thread, and none more.
    queue: async_channel::Sender<Read>,
    threads: TaskTracker,
}

/// Reads, and answers whoever asked.
type Read = Box<dyn FnOnce(&mut dyn LedgerReader) + Send>;

impl Readers {
    /// Starts the threads; they end when the last clone is dropped.
    pub(crate) fn start(ledger: &dyn Ledger) -> Result<Self, LedgerError> {
        let (queue, reads) = async_channel::bounded::<Read>(QUEUE);
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

    /// Ends the threads once they have answered what was asked before. Cancel-safe.
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

    /// An account's state and some of its days that are over. Cancel-safe.
    pub(crate) async fn days(
        &self,
        account: &Account,
        days: DayRange,
    ) -> Result<DaysView, Unavailable> {
        let account = account.clone();
        self.read(move |reader| reader.days(&account, days)).await
    }

    /// Counts an account's days anew in `zone`, as far as its entries are recorded by now. It holds one
    /// of the threads for about two seconds per million entries. Cancel-safe.
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

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut dyn LedgerReader) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let (answer, result) = oneshot::channel();
        let read: Read = Box::new(move |reader| {
            // Whoever asked may have hung up while this waited.
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
