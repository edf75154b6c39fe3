//! What one commit's events and edits become: decided here and in the account's state, in memory.

use std::sync::Arc;

use jiff::{Timestamp, civil::Date};
use serde::Serialize;
use serde_json::value::to_raw_value;

use super::{
    HappenedEntry, LedgerError, LedgerWriter, NewEntry, RecordedEvent,
    batch::{Batch, Change, StateCache},
    recount::count_all,
};
use crate::domain::{
    Account, AccountState, Alert, Amount, Applied, CheckedEvent, DayTotals, EventKey, Invalid,
    Original, Pair, Profile, ProfileChange, Recount, Stamp, StoredEntry, Sums,
};

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

/// Folds into a batch, at one instant.
pub(super) struct Fold<'a> {
    pub(super) storage: &'a mut dyn LedgerWriter,
    pub(super) states: &'a mut StateCache,
    pub(super) batch: &'a mut Batch,
    pub(super) now: Timestamp,
}

impl Fold<'_> {
    /// Appends an event, or finds that it was recorded before, or is refused.
    ///
    /// # Errors
    /// When the storage cannot be read.
    pub(super) fn event(&mut self, event: CheckedEvent) -> Result<Appended, LedgerError> {
        let (account, key) = (event.account.clone(), event.key.clone());
        let fingerprint = event.fingerprint;
        // The key comes first: a repeated event gets its first answer, whatever else has changed.
        if let Some(recorded) = self.recorded(&account, &key)? {
            let index = self.touch(&account)?;
            let generation = self.batch.touched(index).state.generation;
            return Ok(repeated(recorded, fingerprint, account, generation));
        }
        let original = match &event.reverses {
            Some(reversed) => self.original(&account, reversed)?,
            None => None,
        };
        let index = self.take_ended(&account)?;
        let state = &self.batch.touched(index).state;
        let placement = match state.place(&event, original.as_ref(), self.now) {
            Ok(placement) => placement,
            Err(invalid) => return Ok(Appended::Rejected(invalid)),
        };
        let past = match placement.past_day() {
            Some((date, pair)) => Some(self.past_day(&account, date, pair)?),
            None => None,
        };
        let touched = self.batch.touched(index);
        let Applied {
            entry,
            alerts,
            past,
        } = match touched.state.apply(event, placement, past, self.now) {
            Ok(applied) => applied,
            Err(invalid) => return Ok(Appended::Rejected(invalid)),
        };
        let adds_up = alerts.is_empty() && past.is_none();
        touched.changes(if adds_up {
            Change::Entries
        } else {
            Change::More
        });
        let placed = Placed {
            generation: touched.state.generation,
            offset: entry.offset,
            total: entry.total,
            stamp: touched.state.stamp(self.now),
            account: account.clone(),
        };
        self.batch.put_days(&account, past);
        self.batch.add(NewEntry {
            account,
            key,
            fingerprint,
            stamp: placed.stamp,
            happened: entry.happened,
            count: entry.count,
            reverses: original.map(|original| original.offset),
            entry: stored(entry.offset, &entry),
        });
        for alert in &alerts {
            self.batch.add(new_alert(alert, placed.stamp, self.now));
        }
        Ok(Appended::Recorded(placed))
    }

    /// Moves an account's days that are over out of its state; where the batch has it.
    fn take_ended(&mut self, account: &Account) -> Result<usize, LedgerError> {
        let index = self.touch(account)?;
        let touched = self.batch.touched(index);
        let Some(ended) = touched.state.take_ended(self.now) else {
            return Ok(index);
        };
        // Also where only a month ended: a clock that is set back would find it again.
        touched.changes(Change::More);
        self.batch.put_days(account, ended);
        Ok(index)
    }

    fn past_day(
        &mut self,
        account: &Account,
        date: Date,
        pair: &Pair,
    ) -> Result<DayTotals, LedgerError> {
        let (day, is_all) = self.batch.day(account, date, pair);
        let day = match is_all {
            true => day.cloned(),
            false => self
                .storage
                .past_day(account, date, &pair.meter, &pair.unit)?,
        };
        Ok(day.unwrap_or_else(|| DayTotals::new(date, pair.clone(), Sums::default())))
    }

    /// Edits a profile; `counted` are its days in the new zone, as far as they were counted before.
    ///
    /// # Errors
    /// When the storage cannot be read.
    pub(super) fn profile(
        &mut self,
        account: &Account,
        change: &ProfileChange,
        counted: Option<Recount>,
    ) -> Result<Result<Profile, Invalid>, LedgerError> {
        let index = self.take_ended(account)?;
        let state = &self.batch.touched(index).state;
        let generation = state.generation;
        let profile = match change.apply(&state.profile) {
            Ok(profile) => profile,
            Err(invalid) => return Ok(Err(invalid)),
        };
        let recount = if profile.time_zone == state.profile.time_zone {
            None
        } else {
            let zone = &profile.time_zone;
            let counted = counted.filter(|counted| counted.is_of(generation, zone));
            let counted = counted.unwrap_or_else(|| Recount::new(zone.clone(), generation));
            Some(self.count_on(account, counted)?)
        };
        let touched = self.batch.touched(index);
        let over = match touched
            .state
            .set_profile(profile.clone(), recount, self.now)
        {
            Ok(over) => over,
            Err(invalid) => return Ok(Err(invalid)),
        };
        touched.changes(Change::More);
        if let Some(over) = over {
            self.batch.recount(account, over);
        }
        Ok(Ok(profile))
    }

    /// Adds what a count of an account's days lacks.
    fn count_on(
        &mut self,
        account: &Account,
        mut recount: Recount,
    ) -> Result<Recount, LedgerError> {
        count_all(&mut recount, |offset, count| {
            self.storage.happened_after(account, offset, count)
        })?;
        let staged = self
            .batch
            .entries
            .iter()
            .filter(|new| new.account == *account);
        for new in staged {
            recount.add(&HappenedEntry::from(new).read());
        }
        Ok(recount)
    }

    fn recorded(
        &mut self,
        account: &Account,
        key: &EventKey,
    ) -> Result<Option<RecordedEvent>, LedgerError> {
        match self.batch.find(account, key) {
            Some(new) => Ok(Some(RecordedEvent::from(new))),
            None => self.storage.recorded(account, key),
        }
    }

    fn original(
        &mut self,
        account: &Account,
        key: &EventKey,
    ) -> Result<Option<Original>, LedgerError> {
        let Some(recorded) = self.recorded(account, key)? else {
            return Ok(None);
        };
        let offset = recorded.entry.offset;
        let is_reversed =
            self.batch.reverses(account, offset) || self.storage.is_reversed(account, offset)?;
        Ok(Some(Original::new(&recorded.entry.header(), is_reversed)))
    }

    /// Takes an account into the batch, if it is not there; where the batch has it.
    fn touch(&mut self, account: &Account) -> Result<usize, LedgerError> {
        if let Some(index) = self.batch.index_of(account) {
            return Ok(index);
        }
        let state = match self.states.take(account) {
            Some(state) => state,
            None => match self.storage.state(account)? {
                Some(state) => state,
                None => AccountState::new(new_generation()?),
            },
        };
        Ok(self.batch.touch(account.clone(), state))
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

fn new_alert(alert: &Alert, stamp: Stamp, now: Timestamp) -> NewEntry {
    NewEntry {
        account: alert.account.clone(),
        key: alert.key(),
        // Nobody else may use its source, so that nothing is ever compared with it.
        fingerprint: [0; 16],
        stamp,
        happened: now,
        count: 0,
        reverses: None,
        entry: stored(alert.offset, alert),
    }
}

fn stored(offset: u64, entry: &impl Serialize) -> StoredEntry {
    let json = to_raw_value(entry).expect("an entry has only strings as keys");
    StoredEntry {
        offset,
        json: Arc::from(json),
    }
}

/// Never 0: that is the generation of an account that is not there.
fn new_generation() -> Result<u64, LedgerError> {
    let random = getrandom::u64().map_err(|error| LedgerError::new(error.to_string()))?;
    Ok(random.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::Event,
        ledger::{Ledger, Memory},
    };

    #[test]
    fn a_zone_edit_counts_what_its_own_commit_records() {
        let mut storage = Memory::new().writer().unwrap();
        let (mut states, mut batch) = (StateCache::new(), Batch::default());
        let mut fold = Fold {
            storage: &mut *storage,
            states: &mut states,
            batch: &mut batch,
            now: "2026-11-22T20:00:00Z".parse().unwrap(),
        };
        for (id, time) in [("a", "2026-11-22T15:00:00Z"), ("b", "2026-11-22T17:00:00Z")] {
            let event = Event::consumption(id, "alice", "1.50", "CNY").with_time(time);
            let appended = fold.event(event.check().unwrap()).unwrap();
            assert!(matches!(appended, Appended::Recorded(_)));
        }
        let change = ProfileChange {
            time_zone: Some("Asia/Shanghai".to_owned()),
            ..ProfileChange::default()
        };
        let alice = Account::parse("alice").unwrap();
        fold.profile(&alice, &change, None).unwrap().unwrap();

        // There, midnight was between the two.
        let over: Vec<String> = batch
            .days()
            .iter()
            .map(|(_, day)| day.date.to_string())
            .collect();
        assert_eq!(over, ["2026-11-22"]);
        let alice = batch.index_of(&alice).unwrap();
        let state = &batch.touched(alice).state;
        let open: Vec<String> = state.open_days().map(|day| day.date.to_string()).collect();
        assert_eq!(open, ["2026-11-23"]);
    }
}
