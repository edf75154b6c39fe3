//! The one thread that appends: it collects what has arrived, folds it in memory, commits once, tells
//! the feed, then answers everyone.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::value::to_raw_value;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::batch::{Batch, StateCache, Touched};
use super::{
    Commit, CommitError, HappenedEntry, LedgerError, LedgerWriter, NewEntry, RecordedEvent,
    Unavailable,
};
use crate::domain::{
    Account, AccountState, Amount, CheckedEvent, Entry, EventKey, Happened, Invalid, Original,
    Profile, ProfileChange, Stamp, StoredEntry,
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
        answer: oneshot::Sender<Result<Result<Profile, Invalid>, Unavailable>>,
    },
    /// Record nothing that was sent later, and let go of the storage.
    Close,
}

impl Job {
    fn events(&self) -> usize {
        match self {
            Self::Append { events, .. } => events.len(),
            Self::SetProfile { .. } => PROFILE_EVENTS,
            Self::Close => 0,
        }
    }
}

/// What became of one event.
#[derive(Debug)]
pub(crate) enum Appended {
    Recorded(Placed),
    Duplicate(Placed),
    Conflict(Invalid),
    Rejected(Invalid),
}

/// Where an entry is.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) account: Account,
    pub(crate) generation: u64,
    pub(crate) offset: u64,
    pub(crate) total: Amount,
    pub(crate) stamp: Stamp,
}

/// What the writer tells of its work, on its own thread.
pub(crate) trait Listener: Send + 'static {
    /// The clock.
    fn now(&self) -> Timestamp;
    /// An account moved: durable by now.
    fn committed(
        &self,
        account: &Account,
        state: &AccountState,
        entries: &[NewEntry],
        at: Timestamp,
    );
    /// A commit's outcome is unknown: nothing will be recorded any more.
    fn poisoned(&self, reason: &str);
}

/// Tells one caller how its job ended, once the commit did.
type Answer = Box<dyn FnOnce(Result<(), Unavailable>)>;

pub(crate) struct Writer<L> {
    storage: Box<dyn LedgerWriter>,
    listener: L,
    jobs: mpsc::Receiver<Job>,
    states: StateCache,
    is_poisoned: bool,
}

impl<L: Listener> Writer<L> {
    pub(crate) fn new(
        storage: Box<dyn LedgerWriter>,
        listener: L,
        jobs: mpsc::Receiver<Job>,
    ) -> Self {
        Self {
            storage,
            listener,
            jobs,
            states: StateCache::new(),
            is_poisoned: false,
        }
    }

    /// Works until every sender is gone, or one says `Close`. The storage is let go of before the
    /// queue is.
    pub(crate) fn run(mut self) {
        while let Some(job) = self.jobs.blocking_recv() {
            let is_closing = self.work(job);
            self.tidy();
            if is_closing {
                return;
            }
        }
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
            next = if is_full {
                None
            } else {
                self.jobs.try_recv().ok()
            };
        }
        let committed = self.commit(&mut batch, now);
        if committed.is_ok() {
            for (account, state, entries) in batch.changes() {
                self.listener.committed(account, state, entries, now);
            }
            self.states.keep(batch);
        }
        for answer in answers {
            answer(committed.clone());
        }
        is_closing
    }

    fn tidy(&mut self) {
        if self.is_poisoned {
            return;
        }
        if let Err(error) = self.storage.tidy() {
            self.poison(&error.to_string());
        }
    }

    fn poison(&mut self, reason: &str) {
        self.is_poisoned = true;
        self.listener.poisoned(reason);
    }

    fn fold(&mut self, job: Job, batch: &mut Batch, now: Timestamp) -> Option<Answer> {
        // A caller that hung up does not want its answer: what it recorded stands all the same.
        match job {
            Job::Append {
                events,
                answer,
                room,
            } => {
                let events = events.into_iter();
                let folded: Result<Vec<Appended>, LedgerError> = events
                    .map(|event| self.fold_event(event, batch, now))
                    .collect();
                Some(Box::new(move |committed| {
                    drop(answer.send(committed.and(folded.map_err(Unavailable::from))));
                    drop(room);
                }))
            }
            Job::SetProfile {
                account,
                change,
                answer,
            } => {
                let folded = self.fold_profile(&account, &change, batch, now);
                Some(Box::new(move |committed| {
                    drop(answer.send(committed.and(folded.map_err(Unavailable::from))));
                }))
            }
            Job::Close => None,
        }
    }

    fn fold_event(
        &mut self,
        event: CheckedEvent,
        batch: &mut Batch,
        now: Timestamp,
    ) -> Result<Appended, LedgerError> {
        let (account, key) = (event.account.clone(), event.key.clone());
        let fingerprint = event.fingerprint;
        // The key comes first: a repeated event gets its first answer, whatever else has changed.
        if let Some(recorded) = self.recorded(batch, &account, &key)? {
            let generation = self.state(batch, &account)?.state.generation;
            return Ok(repeated(recorded, fingerprint, account, generation));
        }
        let original = match &event.reverses {
            Some(reversed) => self.original(batch, &account, reversed)?,
            None => None,
        };
        let touched = self.state(batch, &account)?;
        let entry = match touched.state.apply(event, original.as_ref(), now) {
            Ok(entry) => entry,
            Err(invalid) => return Ok(Appended::Rejected(invalid)),
        };
        touched.is_changed = true;
        let placed = Placed {
            generation: touched.state.generation,
            offset: entry.offset,
            total: entry.total,
            stamp: touched.state.stamp(now),
            account: account.clone(),
        };
        batch.add(NewEntry {
            account,
            key,
            fingerprint,
            stamp: placed.stamp,
            happened: entry.happened,
            count: entry.count,
            reverses: original.map(|original| original.offset),
            entry: stored(&entry),
        });
        Ok(Appended::Recorded(placed))
    }

    fn fold_profile(
        &mut self,
        account: &Account,
        change: &ProfileChange,
        batch: &mut Batch,
        now: Timestamp,
    ) -> Result<Result<Profile, Invalid>, LedgerError> {
        let current = self.state(batch, account)?.state.profile.clone();
        let profile = match change.apply(&current) {
            Ok(profile) => profile,
            Err(invalid) => return Ok(Err(invalid)),
        };
        let happened = if profile.time_zone == current.time_zone {
            Vec::new()
        } else {
            self.happened_in_windows(account, &profile, batch, now)?
        };
        let happened = happened.iter().map(|entry| Happened {
            entry: entry.entry.header(),
            count: entry.count,
            happened: entry.happened,
        });
        let touched = self.state(batch, account)?;
        let taken = touched.state.set_profile(profile.clone(), happened, now);
        touched.is_changed |= taken.is_ok();
        Ok(taken.map(|()| profile))
    }

    /// What the current windows of the profile's zone are counted from.
    fn happened_in_windows(
        &mut self,
        account: &Account,
        profile: &Profile,
        batch: &Batch,
        now: Timestamp,
    ) -> Result<Vec<HappenedEntry>, LedgerError> {
        let since = AccountState::windows_start(profile, now);
        let mut happened = self.storage.happened_since(account, since)?;
        let staged = batch.entries.iter();
        let staged = staged.filter(|new| new.account == *account && new.happened >= since);
        happened.extend(staged.map(|new| HappenedEntry {
            entry: new.entry.clone(),
            count: new.count,
            happened: new.happened,
        }));
        Ok(happened)
    }

    fn recorded(
        &mut self,
        batch: &Batch,
        account: &Account,
        key: &EventKey,
    ) -> Result<Option<RecordedEvent>, LedgerError> {
        match batch.find(account, key) {
            Some(new) => Ok(Some(RecordedEvent {
                fingerprint: new.fingerprint,
                stamp: new.stamp,
                entry: new.entry.clone(),
            })),
            None => self.storage.recorded(account, key),
        }
    }

    fn original(
        &mut self,
        batch: &Batch,
        account: &Account,
        key: &EventKey,
    ) -> Result<Option<Original>, LedgerError> {
        let Some(recorded) = self.recorded(batch, account, key)? else {
            return Ok(None);
        };
        let offset = recorded.entry.offset;
        let is_reversed =
            batch.reverses(account, offset) || self.storage.is_reversed(account, offset)?;
        Ok(Some(Original::new(&recorded.entry.header(), is_reversed)))
    }

    fn state<'b>(
        &mut self,
        batch: &'b mut Batch,
        account: &Account,
    ) -> Result<&'b mut Touched, LedgerError> {
        if !batch.touches(account) {
            let state = match self.states.take(account) {
                Some(state) => state,
                None => self.storage.state(account)?,
            };
            batch.touch(account.clone(), state);
        }
        Ok(batch.touched(account))
    }

    fn commit(&mut self, batch: &mut Batch, now: Timestamp) -> Result<(), Unavailable> {
        if self.is_poisoned {
            return Err(Unavailable::Poisoned);
        }
        batch.sort();
        let states: Vec<(&Account, &AccountState)> = batch.changed_states().collect();
        if states.is_empty() {
            return Ok(());
        }
        let commit = Commit {
            states: &states,
            entries: &batch.entries,
            recorded_at: now,
        };
        match self.storage.commit(&commit) {
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

fn repeated(
    recorded: RecordedEvent,
    fingerprint: [u8; 16],
    account: Account,
    generation: u64,
) -> Appended {
    if recorded.fingerprint != fingerprint {
        let message = "this source and id were recorded with other content: use another id";
        return Appended::Conflict(Invalid::new("conflict", message));
    }
    Appended::Duplicate(Placed {
        account,
        generation,
        offset: recorded.entry.offset,
        total: recorded.entry.header().total,
        stamp: recorded.stamp,
    })
}

fn stored(entry: &Entry) -> StoredEntry {
    let json = to_raw_value(entry).expect("an entry has only strings as keys");
    StoredEntry {
        offset: entry.offset,
        json: Arc::from(json),
    }
}
