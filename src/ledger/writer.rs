//! The one thread that appends. It collects the jobs that have arrived, folds them in memory, commits once,
//! notifies the feed, then answers the callers.

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::{
    Appended, ChangedState, Commit, CommitError, CommitListener, Job, LedgerError, LedgerWriter,
    Unavailable, batch::CommitBatch, fold::Fold, state_cache::StateCache,
};
use crate::domain::{Account, StoredRevocation};

/// The most events of one commit. It bounds how long the first caller waits.
const COMMIT_EVENTS_MAX: usize = 4_096;

/// Answers one caller with the outcome of the commit.
type JobReply = Box<dyn FnOnce(Result<(), Unavailable>)>;

/// The ledger's writer thread: the storage, and the queue of jobs.
pub(crate) struct Writer<L> {
    storage: Box<dyn LedgerWriter>,
    listener: L,
    jobs: mpsc::Receiver<Job>,
    /// A received job that needs a commit of its own.
    postponed: Option<Job>,
    states: StateCache,
    is_poisoned: bool,
}

impl<L: CommitListener> Writer<L> {
    pub(crate) fn new(
        storage: Box<dyn LedgerWriter>,
        listener: L,
        jobs: mpsc::Receiver<Job>,
    ) -> Self {
        Self {
            storage,
            listener,
            jobs,
            postponed: None,
            states: StateCache::new(),
            is_poisoned: false,
        }
    }

    /// Runs until it receives [`Job::Close`], or every sender is dropped. It blocks. The storage is closed
    /// before the queue of jobs, whose end therefore tells that the file is free.
    pub(crate) fn run(mut self) {
        while let Some(job) = self.next() {
            let is_closing = match job {
                Job::Erase { account, answer } => {
                    self.erase(&account, answer);
                    false
                }
                Job::Revoke { revocation, answer } => {
                    self.revoke(&revocation, answer);
                    false
                }
                job => self.commit_jobs(job),
            };
            self.maintain();
            if is_closing {
                return;
            }
        }
    }

    fn next(&mut self) -> Option<Job> {
        let postponed = self.postponed.take();
        postponed.or_else(|| self.jobs.blocking_recv())
    }

    /// The next job that may share a commit with others, if one is queued.
    fn next_to_join(&mut self) -> Option<Job> {
        let job = self.jobs.try_recv().ok()?;
        if job.is_alone() {
            self.postponed = Some(job);
            return None;
        }
        Some(job)
    }

    /// Makes one commit of this job and those queued behind it. Returns whether the writer is to close.
    fn commit_jobs(&mut self, first: Job) -> bool {
        let now = self.listener.now();
        let mut batch = CommitBatch::default();
        let mut answers = Vec::new();
        let mut events = 0;
        let mut next = Some(first);
        let mut is_closing = false;
        while let Some(job) = next {
            events += job.events();
            is_closing = matches!(job, Job::Close);
            answers.extend(self.fold(job, &mut batch, now));
            let is_full = is_closing || events >= COMMIT_EVENTS_MAX;
            next = if is_full { None } else { self.next_to_join() };
        }
        let committed = self.commit(&mut batch, now);
        if committed.is_ok() {
            // The listener is the feed's `Publisher`.
            self.listener.committed(batch.account_commits(), now);
            self.states.put(batch.into_states());
        }
        for answer in answers {
            answer(committed.clone());
        }
        is_closing
    }

    fn maintain(&mut self) {
        if self.is_poisoned {
            return;
        }
        if let Err(error) = self.storage.maintain() {
            self.poison(&error.to_string());
        }
    }

    fn poison(&mut self, reason: &str) {
        self.is_poisoned = true;
        self.listener.poisoned(reason);
    }

    fn fold(&mut self, job: Job, batch: &mut CommitBatch, now: Timestamp) -> Option<JobReply> {
        let mut fold = Fold {
            storage: &mut *self.storage,
            states: &mut self.states,
            batch,
            now,
        };
        // Sending fails if the caller has hung up. What it appended is recorded nevertheless.
        match job {
            Job::Append {
                events,
                answer,
                room,
            } => {
                let events = events.into_iter();
                let folded: Result<Vec<Appended>, LedgerError> =
                    events.map(|event| fold.event(event)).collect();
                Some(Box::new(move |committed| {
                    drop(answer.send(committed.and(folded.map_err(Unavailable::from))));
                    drop(room);
                }))
            }
            Job::SetProfile {
                account,
                change,
                recount,
                turn,
                answer,
            } => {
                let folded = fold.profile(&account, &change, recount);
                Some(Box::new(move |committed| {
                    drop(answer.send(committed.and(folded.map_err(Unavailable::from))));
                    drop(turn);
                }))
            }
            Job::Erase { .. } | Job::Revoke { .. } | Job::Close => None,
        }
    }

    fn erase(&mut self, account: &Account, answer: oneshot::Sender<Result<(), Unavailable>>) {
        let now = self.listener.now();
        drop(self.states.take(account));
        let erased = match self.is_poisoned {
            true => Err(Unavailable::Poisoned),
            false => {
                let erased = self.storage.erase(account, now);
                self.outcome(erased)
            }
        };
        if erased.is_ok() {
            self.listener.erased(account, now);
        }
        drop(answer.send(erased));
    }

    fn revoke(
        &mut self,
        revocation: &StoredRevocation,
        answer: oneshot::Sender<Result<(), Unavailable>>,
    ) {
        let now = self.listener.now();
        let revoked = match self.is_poisoned {
            true => Err(Unavailable::Poisoned),
            false => {
                let revoked = self.storage.revoke(revocation, now);
                self.outcome(revoked)
            }
        };
        if revoked.is_ok() {
            self.listener.revoked(now);
        }
        drop(answer.send(revoked));
    }

    fn commit(&mut self, batch: &mut CommitBatch, now: Timestamp) -> Result<(), Unavailable> {
        if self.is_poisoned {
            return Err(Unavailable::Poisoned);
        }
        batch.sort();
        let states: Vec<ChangedState<'_>> = batch.changed_states().collect();
        if states.is_empty() {
            return Ok(());
        }
        let commit = Commit {
            states: &states,
            entries: &batch.entries,
            recounted: &batch.recounted(),
            days: &batch.days(),
            recorded_at: now,
        };
        let committed = self.storage.commit(&commit);
        self.outcome(committed)
    }

    /// Logs a failed commit, and poisons the ledger if its outcome is unknown.
    fn outcome(&mut self, committed: Result<(), CommitError>) -> Result<(), Unavailable> {
        match committed {
            Ok(()) => Ok(()),
            Err(CommitError::RolledBack(reason)) => {
                tracing::warn!(code = reason.code(), ?reason, "a commit was rolled back");
                Err(reason)
            }
            Err(CommitError::Unknown(reason)) => {
                self.poison(&reason);
                Err(Unavailable::Poisoned)
            }
        }
    }
}
