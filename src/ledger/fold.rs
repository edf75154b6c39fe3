//! Turns events and profile edits into a commit, in memory. The rules are here and in the account's state.

use std::sync::Arc;

use jiff::{Timestamp, civil::Date};
use serde::Serialize;
use serde_json::value::to_raw_value;

use super::{
    Appended, HappenedEntry, LedgerError, LedgerWriter, NewEntry, Placed, ProfileEdit,
    RecordedEvent,
    batch::{Change, CommitBatch},
    recount::count_page,
    state_cache::StateCache,
};
use crate::domain::{
    Account, AccountState, Alert, Applied, CheckedEvent, DayTotals, EventKey, Invalid, Original,
    Pair, ProfileChange, Recount, Stamp, StoredEntry, Sums,
};

/// The most entries of an account that an edit of its time zone counts on the writer's thread, where everybody's events
/// wait: less than a page, in less than a millisecond.
const COUNTED_HERE_MAX: u64 = 256;

/// Adds events and edits to a batch, at one instant.
pub(super) struct Fold<'a> {
    pub(super) storage: &'a mut dyn LedgerWriter,
    pub(super) states: &'a mut StateCache,
    pub(super) batch: &'a mut CommitBatch,
    pub(super) now: Timestamp,
}

impl Fold<'_> {
    /// Appends an event, or finds that it was recorded earlier or is refused.
    ///
    /// # Errors
    /// When the storage cannot be read.
    pub(super) fn event(&mut self, event: CheckedEvent) -> Result<Appended, LedgerError> {
        let (account, key) = (event.account.clone(), event.key.clone());
        let fingerprint = event.fingerprint;
        // The key is looked up first: a repeated event gets its first answer, whatever has changed since.
        if let Some(recorded) = self.recorded(&account, &key)? {
            let index = self.account(&account)?;
            let generation = self.batch.account_mut(index).state.generation;
            return Ok(repeated(recorded, fingerprint, account, generation));
        }
        let original = match &event.reverses {
            Some(reversed) => self.original(&account, reversed)?,
            None => None,
        };
        let index = self.take_ended(&account)?;
        let state = &self.batch.account_mut(index).state;
        let placement = match state.place(&event, original.as_ref(), self.now) {
            Ok(placement) => placement,
            Err(invalid) => return Ok(Appended::Rejected(invalid)),
        };
        let past = match placement.past_day() {
            Some((date, pair)) => Some(self.past_day(&account, date, pair)?),
            None => None,
        };
        let in_batch = self.batch.account_mut(index);
        let Applied {
            entry,
            alerts,
            past,
        } = match in_batch.state.apply(event, placement, past, self.now) {
            Ok(applied) => applied,
            Err(invalid) => return Ok(Appended::Rejected(invalid)),
        };
        let adds_up = alerts.is_empty() && past.is_none();
        in_batch.add_change(if adds_up {
            Change::Entries
        } else {
            Change::State
        });
        let placed = Placed {
            generation: in_batch.state.generation,
            offset: entry.offset,
            total: entry.total,
            stamp: in_batch.state.stamp(self.now),
            account: account.clone(),
        };
        self.batch.put_days(&account, past);
        self.batch.add_entry(NewEntry {
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
            self.batch
                .add_entry(new_alert(alert, placed.stamp, self.now));
        }
        Ok(Appended::Recorded(placed))
    }

    /// Moves an account's past days out of its state into the batch, and returns the account's index.
    fn take_ended(&mut self, account: &Account) -> Result<usize, LedgerError> {
        let index = self.account(account)?;
        let in_batch = self.batch.account_mut(index);
        let Some(ended) = in_batch.state.take_ended(self.now) else {
            return Ok(index);
        };
        // Even if only a month ended and `ended` is empty: the stored state would still hold that month, and a
        // clock that is set back would find it again.
        in_batch.add_change(Change::State);
        self.batch.put_days(account, ended);
        Ok(index)
    }

    fn past_day(
        &mut self,
        account: &Account,
        date: Date,
        pair: &Pair,
    ) -> Result<DayTotals, LedgerError> {
        let (day, is_final) = self.batch.day(account, date, pair);
        let day = match is_final {
            true => day.cloned(),
            false => self
                .storage
                .past_day(account, date, &pair.meter, &pair.unit)?,
        };
        Ok(day.unwrap_or_else(|| DayTotals::new(date, pair.clone(), Sums::default())))
    }

    /// Edits a profile. `counted` holds the days in the new time zone, counted up to an entry of a moment ago; the
    /// rest is counted here, if it is small.
    ///
    /// # Errors
    /// When the storage cannot be read.
    pub(super) fn profile(
        &mut self,
        account: &Account,
        change: &ProfileChange,
        counted: Option<Recount>,
    ) -> Result<ProfileEdit, LedgerError> {
        let index = self.take_ended(account)?;
        let state = &self.batch.account_mut(index).state;
        let (generation, offset) = (state.generation, state.offset);
        let profile = match change.apply(&state.profile) {
            Ok(profile) => profile,
            Err(invalid) => return Ok(ProfileEdit::Refused(invalid)),
        };
        let recount = if profile.time_zone == state.profile.time_zone {
            None
        } else {
            let zone = &profile.time_zone;
            let counted = counted.filter(|counted| counted.is_of(generation, zone));
            let counted = counted.unwrap_or_else(|| Recount::new(zone.clone(), generation));
            if offset.saturating_sub(counted.through()) > COUNTED_HERE_MAX {
                return Ok(ProfileEdit::Uncounted(counted));
            }
            Some(self.finish_count(account, counted)?)
        };
        let in_batch = self.batch.account_mut(index);
        let over = match in_batch
            .state
            .set_profile(profile.clone(), recount, self.now)
        {
            Ok(over) => over,
            Err(invalid) => return Ok(ProfileEdit::Refused(invalid)),
        };
        in_batch.add_change(Change::State);
        if let Some(over) = over {
            self.batch.replace_days(account, over);
        }
        Ok(ProfileEdit::Done(profile))
    }

    /// Counts the entries that were recorded since, including those of this batch.
    fn finish_count(
        &mut self,
        account: &Account,
        mut recount: Recount,
    ) -> Result<Recount, LedgerError> {
        let is_complete = count_page(&mut recount, |offset, count| {
            self.storage.happened_after(account, offset, count)
        })?;
        debug_assert!(is_complete, "few enough are left for one page");
        let in_batch = self
            .batch
            .entries
            .iter()
            .filter(|new| new.account == *account);
        for new in in_batch {
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

    /// An account's index in the batch. The account is added if it is not there.
    fn account(&mut self, account: &Account) -> Result<usize, LedgerError> {
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
        Ok(self.batch.add_account(account.clone(), state))
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
        // No event may use this source, so the fingerprint is never compared.
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

/// Never 0, which is the generation of an account that does not exist.
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
        let (mut states, mut batch) = (StateCache::new(), CommitBatch::default());
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
        let edit = fold.profile(&alice, &change, None).unwrap();
        assert!(matches!(edit, ProfileEdit::Done(_)));

        // In that zone, midnight was between the two.
        let over: Vec<String> = batch
            .days()
            .iter()
            .map(|(_, day)| day.date.to_string())
            .collect();
        assert_eq!(over, ["2026-11-22"]);
        let alice = batch.index_of(&alice).unwrap();
        let state = &batch.account_mut(alice).state;
        let open: Vec<String> = state.open_days().map(|day| day.date.to_string()).collect();
        assert_eq!(open, ["2026-11-23"]);
    }
}
