//! The one thread that appends: it collects what has arrived, has it folded in memory, commits once,
//! tells the feed, then answers everyone.

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::{
    ChangedState, Commit, CommitError, LedgerError, LedgerWriter, NewEntry, Unavailable,
    batch::{Batch, StateCache},
    fold::{Appended, Fold},
};
use crate::domain::{
    Account, AccountState, CheckedEvent, Invalid, Profile, ProfileChange, Recount,
};

/// How much one commit collects: bounds the time that the first who came waits. An edit of a profile
/// counts as some events.
const COMMIT_EVENTS_MAX: usize = 4_096;
const PROFILE_EVENTS: usize = 64;

/// One thing for the writer to do.
pub(crate) enum Job {
    /// Record these events, in order.
    Append {
        events: Vec<CheckedEvent>,
        answer: oneshot::Sender<Result<Vec<Appended>, Unavailable>>,
        /// Held until the job is done: the queue's bound in bytes.
        room: OwnedSemaphorePermit,
    },
    /// Edit a profile.
    SetProfile {
        account: Account,
        change: ProfileChange,
        /// Its days in the new zone, as far as they were counted beforehand.
        recount: Option<Recount>,
        answer: oneshot::Sender<Result<Result<Profile, Invalid>, Unavailable>>,
    },
    /// Remove everything of an account, in a commit of its own.
    Erase {
        account: Account,
        answer: oneshot::Sender<Result<(), Unavailable>>,
    },
    /// Record nothing that was sent later, and let go of the storage.
    Close,
}

impl Job {
    fn events(&self) -> usize {
        match self {
            Self::Append { events, .. } => events.len(),
            Self::SetProfile { .. } => PROFILE_EVENTS,
            Self::Erase { .. } | Self::Close => 0,
        }
    }
}

/// What the writer tells of its work, on its own thread.
pub(crate) trait CommitListener: Send + 'static {
    /// The clock.
    fn now(&self) -> Timestamp;
    /// Accounts moved, in one commit: durable by now.
    fn committed<'a>(&self, moved: impl Iterator<Item = AccountCommit<'a>>, at: Timestamp);
    /// An account was removed: durable by now.
    fn erased(&self, account: &Account, at: Timestamp);
    /// A commit's outcome is unknown: nothing will be recorded any more.
    fn poisoned(&self, reason: &str);
}

/// An account with what a commit added to it.
pub(crate) struct AccountCommit<'a> {
    pub(crate) account: &'a Account,
    pub(crate) state: &'a AccountState,
    pub(crate) entries: &'a [NewEntry],
}

/// Tells one caller how its job ended, once the commit did.
type Answer = Box<dyn FnOnce(Result<(), Unavailable>)>;

pub(crate) struct Writer<L> {
    storage: Box<dyn LedgerWriter>,
    listener: L,
    jobs: mpsc::Receiver<Job>,
    /// A job that was received and has to be done alone.
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

    /// Works until every sender is gone, or one says `Close`. The storage is let go of before the
    /// queue is.
    pub(crate) fn run(mut self) {
        while let Some(job) = self.next() {
            let is_closing = match job {
                Job::Erase { account, answer } => {
                    self.erase(&account, answer);
                    false
                }
                job => self.work(job),
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

    /// The next job that may share a commit with others, if one waits.
    fn next_to_join(&mut self) -> Option<Job> {
        let job = self.jobs.try_recv().ok()?;
        if matches!(job, Job::Erase { .. }) {
            self.postponed = Some(job);
            return None;
        }
        Some(job)
    }

    /// One commit: this job and those that wait behind it. Tells whether it was the last.
    fn work(&mut self, first: Job) -> bool {
        let now = self.listener.now();
        let mut batch = Batch::default();
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
            self.listener.committed(batch.moved(), now);
            self.states.keep(batch);
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

    fn fold(&mut self, job: Job, batch: &mut Batch, now: Timestamp) -> Option<Answer> {
        let mut fold = Fold {
            storage: &mut *self.storage,
            states: &mut self.states,
            batch,
            now,
        };
        // A caller that hung up does not want its answer: what it recorded stands all the same.
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
                answer,
            } => {
                let folded = fold.profile(&account, &change, recount);
                Some(Box::new(move |committed| {
                    drop(answer.send(committed.and(folded.map_err(Unavailable::from))));
                }))
            }
            Job::Erase { .. } | Job::Close => None,
        }
    }

    fn erase(&mut self, account: &Account, answer: oneshot::Sender<Result<(), Unavailable>>) {
        let now = self.listener.now();
        drop(self.states.take(account));
        let erased = match self.is_poisoned {
            true => Err(Unavailable::Poisoned),
            false => {
                let erased = self.storage.erase(account, now);
                self.settle(erased)
            }
        };
        if erased.is_ok() {
            self.listener.erased(account, now);
        }
        drop(answer.send(erased));
    }

    fn commit(&mut self, batch: &mut Batch, now: Timestamp) -> Result<(), Unavailable> {
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
        self.settle(committed)
    }

    fn settle(&mut self, committed: Result<(), CommitError>) -> Result<(), Unavailable> {
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
