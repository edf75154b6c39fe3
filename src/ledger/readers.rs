use std::{
    sync::{Arc, Mutex},
    thread,
};

use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

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
    threads: TaskTracker,
}

enum Job {
    View {
        account: Account,
        entries: Entries,
        answer: oneshot::Sender<Result<View, LedgerError>>,
    },
    Close,
}

impl Readers {
    /// Starts the threads; they end when the last clone is dropped.
    pub(crate) fn start(ledger: &dyn Ledger) -> Result<Self, LedgerError> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let queue = Arc::new(Mutex::new(queue));
        let threads = TaskTracker::new();
        for number in 0..THREADS {
            let (reader, queue) = (ledger.reader()?, queue.clone());
            let alive = threads.token();
            thread::Builder::new()
                .name(format!("ledger-read-{number}"))
                .spawn(move || {
                    work(reader, &queue);
                    drop(alive);
                })
                .map_err(|error| LedgerError::new(error.to_string()))?;
        }
        Ok(Self { jobs, threads })
    }

    /// Ends the threads once they have answered what was asked before. Cancel-safe.
    pub(crate) async fn close(&self) {
        // Where this fails, they have ended already.
        drop(self.jobs.send(Job::Close).await);
        self.threads.close();
        self.threads.wait().await;
    }

    /// An account's state and some of its entries. Cancel-safe.
    pub(crate) async fn view(
        &self,
        account: &Account,
        entries: Entries,
    ) -> Result<View, Unavailable> {
        let (answer, view) = oneshot::channel();
        let account = account.clone();
        let job = Job::View {
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
    while let Some(job) = next(queue) {
        match job {
            Job::View { answer, .. } if answer.is_closed() => {}
            Job::View {
                account,
                entries,
                answer,
            } => drop(answer.send(reader.view(&account, entries))),
            Job::Close => return,
        }
    }
}

/// Whoever holds the lock waits for the next job; the others wait for the lock.
fn next(queue: &Mutex<mpsc::Receiver<Job>>) -> Option<Job> {
    let mut queue = queue.lock().ok()?;
    let job = queue.blocking_recv()?;
    if matches!(job, Job::Close) {
        queue.close();
    }
    Some(job)
}
