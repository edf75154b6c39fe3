//! The one thread that appends: it collects what has arrived, folds it in memory, commits once, tells
//! the feed, then answers everyone.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::value::to_raw_value;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::batch::{Batch, StateCache, Touched};
use super::{Commit, CommitError, LedgerError, LedgerWriter, NewEntry, RecordedEvent, Unavailable};
use crate::domain::{
    Account, AccountState, CheckedEvent, Entry, EventKey, Invalid, Original, Profile,
    ProfileChange, Stamp, StoredEntry,
};

/// The most events of one commit: bounds the time that the first of them waits.
const COMMIT_EVENTS_MAX: usize = 4_096;

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
}

/// What became of one event.
#[derive(Debug)]
pub(crate) enum Appended {
    Recorded(Placed),
    Duplicate(Placed),
    Conflict(Invalid),
    Rejected(Invalid),
}

/// An entry and the stamp of its position.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) account: Account,
    pub(crate) generation: u64,
    pub(crate) entry: StoredEntry,
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

    /// Works until every sender is gone.
    pub(crate) fn run(mut self) {
        while let Some(job) = self.jobs.blocking_recv() {
            self.work(job);
            if self.jobs.is_empty() {
                self.storage.tidy();
            }
        }
        self.storage.tidy();
    }

    /// One commit: this job and those that wait behind it.
    fn work(&mut self, first: Job) {
        let now = self.listener.now();
        let mut batch = Batch::default();
        let mut answers = Vec::new();
        let mut next = Some(first);
        while let Some(job) = next {
            answers.push(self.fold(job, &mut batch, now));
            let is_full = batch.entries.len() >= COMMIT_EVENTS_MAX;
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
    }

    fn fold(&mut self, job: Job, batch: &mut Batch, now: Timestamp) -> Answer {
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
                Box::new(move |committed| {
                    drop(answer.send(committed.and(folded.map_err(Unavailable::from))));
                    drop(room);
                })
            }
            Job::SetProfile {
                account,
                change,
                answer,
            } => {
                let folded = self.fold_profile(&account, &change, batch, now);
                Box::new(move |committed| {
                    drop(answer.send(committed.and(folded.map_err(Unavailable::from))));
                })
            }
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
            stamp: touched.state.stamp(now),
            entry: stored(&entry),
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
            entry: placed.entry.clone(),
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
        let profile = match change.apply(&self.state(batch, account)?.state.profile) {
            Ok(profile) => profile,
            Err(invalid) => return Ok(Err(invalid)),
        };
        let since = AccountState::windows_start(&profile, now);
        let stored = self.storage.happened_since(account, since)?;
        let stored = stored
            .iter()
            .map(|e| (e.entry.header(), e.count, e.happened));
        let staged = batch.entries.iter();
        let staged = staged.filter(|new| new.account == *account && new.happened >= since);
        let staged: Vec<NewEntry> = staged.cloned().collect();
        let staged = staged
            .iter()
            .map(|new| (new.entry.header(), new.count, new.happened));
        let touched = self.state(batch, account)?;
        touched.is_changed = true;
        touched
            .state
            .set_profile(profile.clone(), stored.chain(staged), now);
        Ok(Ok(profile))
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
                self.is_poisoned = true;
                self.listener.poisoned(&reason);
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
        entry: recorded.entry,
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
