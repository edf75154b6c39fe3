use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::civil::Date;

use super::{AccountCommit, ChangedState, NewEntry};
use crate::domain::{Account, AccountState, DayTotals, EventKey, Pair};

/// What the next commit will record: the accounts that were read or changed, and their new entries.
#[derive(Default)]
pub(super) struct CommitBatch {
    pub(super) entries: Vec<NewEntry>,
    accounts: Vec<(Account, BatchAccount)>,
    indices: HashMap<Account, usize>,
    keys: HashMap<(Account, EventKey), usize>,
    reversed: HashSet<(Account, u64)>,
    days: BTreeMap<(Account, Date, Pair), DayTotals>,
    recounted: HashSet<Account>,
}

/// An account inside a batch.
pub(super) struct BatchAccount {
    pub(super) state: AccountState,
    pub(super) change: Change,
}

/// How a batch changes an account. The order matters: a later variant includes the earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Change {
    /// It was only read.
    None,
    /// It has new entries: its previous state and they add up to its state.
    Entries,
    /// Its state also changed in a way that its entries do not show.
    State,
}

impl BatchAccount {
    pub(super) fn add_change(&mut self, change: Change) {
        self.change = self.change.max(change);
    }
}

impl CommitBatch {
    /// The account's index in the batch, if it is there.
    pub(super) fn index_of(&self, account: &Account) -> Option<usize> {
        self.indices.get(account).copied()
    }

    /// Adds an account that is not in the batch, and returns its index.
    pub(super) fn add_account(&mut self, account: Account, state: AccountState) -> usize {
        let index = self.accounts.len();
        self.indices.insert(account.clone(), index);
        let change = Change::None;
        self.accounts
            .push((account, BatchAccount { state, change }));
        index
    }

    pub(super) fn account_mut(&mut self, index: usize) -> &mut BatchAccount {
        &mut self.accounts[index].1
    }

    pub(super) fn add_entry(&mut self, new: NewEntry) {
        self.keys
            .insert((new.account.clone(), new.key.clone()), self.entries.len());
        if let Some(offset) = new.reverses {
            self.reversed.insert((new.account.clone(), offset));
        }
        self.entries.push(new);
    }

    /// The entry that this batch records under a key.
    pub(super) fn find(&self, account: &Account, key: &EventKey) -> Option<&NewEntry> {
        if self.keys.is_empty() {
            return None;
        }
        let index = self.keys.get(&(account.clone(), key.clone()))?;
        self.entries.get(*index)
    }

    /// Whether this batch reverses the entry at `offset`.
    pub(super) fn reverses(&self, account: &Account, offset: u64) -> bool {
        !self.reversed.is_empty() && self.reversed.contains(&(account.clone(), offset))
    }

    /// Replaces past days.
    pub(super) fn put_days(
        &mut self,
        account: &Account,
        days: impl IntoIterator<Item = DayTotals>,
    ) {
        for day in days {
            let (meter, unit) = (day.meter.clone(), day.unit.clone());
            let key = (account.clone(), day.date, Pair { meter, unit });
            self.days.insert(key, day);
        }
    }

    /// Replaces all past days of an account.
    pub(super) fn replace_days(&mut self, account: &Account, days: Vec<DayTotals>) {
        self.days.retain(|(other, ..), _| other != account);
        self.recounted.insert(account.clone());
        self.put_days(account, days);
    }

    /// A past day in this batch, and whether that is the final answer: if it is not, the storage has to be
    /// asked.
    pub(super) fn day(
        &self,
        account: &Account,
        date: Date,
        pair: &Pair,
    ) -> (Option<&DayTotals>, bool) {
        let is_recounted = self.recounted.contains(account);
        if self.days.is_empty() {
            return (None, is_recounted);
        }
        let key = (account.clone(), date, pair.clone());
        let day = self.days.get(&key);
        (day, is_recounted || day.is_some())
    }

    pub(super) fn days(&self) -> Vec<(&Account, &DayTotals)> {
        let days = self.days.iter();
        days.map(|((account, ..), day)| (account, day)).collect()
    }

    pub(super) fn recounted(&self) -> Vec<&Account> {
        self.recounted.iter().collect()
    }

    /// Groups the entries by account, each account's in their order. Nothing may be added afterwards.
    pub(super) fn sort(&mut self) {
        let indices = &self.indices;
        self.entries.sort_by_cached_key(|new| indices[&new.account]);
        self.keys.clear();
    }

    pub(super) fn changed_states(&self) -> impl Iterator<Item = ChangedState<'_>> {
        let changed = self
            .accounts
            .iter()
            .filter(|(_, in_batch)| in_batch.change > Change::None);
        changed.map(|(account, in_batch)| ChangedState {
            account,
            state: &in_batch.state,
            adds_up: in_batch.change == Change::Entries,
        })
    }

    /// Each changed account with its state and new entries. The batch must be sorted.
    pub(super) fn account_commits(&self) -> impl Iterator<Item = AccountCommit<'_>> {
        let mut rest = self.entries.as_slice();
        self.changed_states().map(move |changed| {
            let ChangedState { account, state, .. } = changed;
            let count = rest
                .iter()
                .take_while(|new| new.account == *account)
                .count();
            let (entries, after) = rest.split_at(count);
            rest = after;
            AccountCommit {
                account,
                state,
                entries,
            }
        })
    }

    /// The accounts' states, as this batch leaves them.
    pub(super) fn into_states(self) -> impl Iterator<Item = (Account, AccountState)> {
        let accounts = self.accounts.into_iter();
        accounts.map(|(account, in_batch)| (account, in_batch.state))
    }
}
