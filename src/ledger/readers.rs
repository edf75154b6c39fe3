use std::{
    sync::{Arc, Mutex},
    thread,
};

use tokio::sync::{mpsc, oneshot};

use super::{Entries, Ledger, LedgerError, LedgerReader, Unavailable, View};
use crate::domain::Account;

/// Reads do not wait for the disk but for the processor: more threads than this do not help.
const THREADS: usize = 4;
/// How many reads may wait; the next ones wait outside, at their callers.
const QUEUE: usize = 1_024;

/// The threads that read the ledger for everybody.
#[derive(Debug, Clone)]
pub(crate) struct Readers {
    jobs: mpsc::Sender<Job>,
}

struct Job {
    account: Account,
    entries: Entries,
    answer: oneshot::Sender<Result<View, LedgerError>>,
}

impl Readers {
    /// Starts the threads; they end when the last clone is dropped.
    pub(crate) fn start(ledger: &dyn Ledger) -> Result<Self, LedgerError> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..THREADS {
            let (reader, queue) = (ledger.reader()?, queue.clone());
            thread::Builder::new()
                .name(format!("ledger-read-{number}"))
                .spawn(move || work(reader, &queue))
                .map_err(|error| LedgerError::new(error.to_string()))?;
        }
        Ok(Self { jobs })
    }

    /// An account's state and some of its entries. Cancel-safe.
    pub(crate) async fn view(
        &self,
        account: &Account,
        entries: Entries,
    ) -> Result<View, Unavailable> {
        let (answer, view) = oneshot::channel();
        let account = account.clone();
        let job = Job {
            account,
            entries,
            answer,
        };
        self.jobs.send(job).await.map_err(|_| Unavailable::Closed)?;
        let view = view.await.map_err(|_| Unavailable::Closed)?;
        view.inspect_err(|error| tracing::warn!(%error, "the ledger could not be read"))
            .map_err(Unavailable::from)
    }
}

fn work(mut reader: Box<dyn LedgerReader>, queue: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        // Whoever holds the lock waits for the next job; the others wait for the lock.
        let next = queue.lock().map(|mut queue| queue.blocking_recv());
        let Ok(Some(job)) = next else { return };
        if job.answer.is_closed() {
            continue;
        }
        drop(job.answer.send(reader.view(&job.account, job.entries)));
    }
}
