use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::civil::Date;
use lru::LruCache;

use super::{AccountCommit, ChangedState, NewEntry};
use crate::domain::{Account, AccountState, DayTotals, EventKey, Pair};

/// What one commit will make durable: the touched accounts and their new entries.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) entries: Vec<NewEntry>,
    accounts: Vec<(Account, Touched)>,
    indices: HashMap<Account, usize>,
    keys: HashMap<(Account, EventKey), usize>,
    reversed: HashSet<(Account, u64)>,
    days: BTreeMap<(Account, Date, Pair), DayTotals>,
    recounted: HashSet<Account>,
}

/// An account's state inside a batch.
pub(super) struct Touched {
    pub(super) state: AccountState,
    pub(super) change: Change,
}

/// What a batch did to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Change {
    Nothing,
    /// It has more entries, which add up to its state.
    Entries,
    /// It has changed in a way that no entry tells.
    More,
}

impl Touched {
    pub(super) fn changes(&mut self, change: Change) {
        self.change = self.change.max(change);
    }
}

impl Batch {
    /// Where the batch has the account, if it touches it.
    pub(super) fn index_of(&self, account: &Account) -> Option<usize> {
        self.indices.get(account).copied()
    }

    pub(super) fn touch(&mut self, account: Account, state: AccountState) -> usize {
        let index = self.accounts.len();
        self.indices.insert(account.clone(), index);
        let change = Change::Nothing;
        self.accounts.push((account, Touched { state, change }));
        index
    }

    pub(super) fn touched(&mut self, index: usize) -> &mut Touched {
        &mut self.accounts[index].1
    }

    pub(super) fn add(&mut self, new: NewEntry) {
        self.keys
            .insert((new.account.clone(), new.key.clone()), self.entries.len());
        if let Some(offset) = new.reverses {
            self.reversed.insert((new.account.clone(), offset));
        }
        self.entries.push(new);
    }

    pub(super) fn find(&self, account: &Account, key: &EventKey) -> Option<&NewEntry> {
        if self.keys.is_empty() {
            return None;
        }
        let index = self.keys.get(&(account.clone(), key.clone()))?;
        self.entries.get(*index)
    }

    pub(super) fn reverses(&self, account: &Account, offset: u64) -> bool {
        !self.reversed.is_empty() && self.reversed.contains(&(account.clone(), offset))
    }

    /// Takes days that are over, in place of what is known of them.
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

    /// Takes all of an account's days that are over, in place of those that were.
    pub(super) fn recount(&mut self, account: &Account, days: Vec<DayTotals>) {
        self.days.retain(|(other, ..), _| other != account);
        self.recounted.insert(account.clone());
        self.put_days(account, days);
    }

    /// A day that is over as this batch leaves it, and whether the storage knows nothing else of it.
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

    /// Puts each account's entries side by side, in their order. After it nothing is added.
    pub(super) fn sort(&mut self) {
        let indices = &self.indices;
        self.entries.sort_by_cached_key(|new| indices[&new.account]);
        self.keys.clear();
    }

    pub(super) fn changed_states(&self) -> impl Iterator<Item = ChangedState<'_>> {
        let changed = self
            .accounts
            .iter()
            .filter(|(_, touched)| touched.change > Change::Nothing);
        changed.map(|(account, touched)| ChangedState {
            account,
            state: &touched.state,
            adds_up: touched.change == Change::Entries,
        })
    }

    /// Each changed account with its state and new entries; the batch is sorted before.
    pub(super) fn moved(&self) -> impl Iterator<Item = AccountCommit<'_>> {
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
}

/// The states of the accounts that moved last: the busy ones need no reading.
pub(super) struct StateCache {
    states: LruCache<Account, Cached>,
    bytes: usize,
}

struct Cached {
    state: AccountState,
    bytes: usize,
}

impl StateCache {
    /// The most bytes that the cached states take, about.
    const BYTES_MAX: usize = 64 * 1024 * 1024;

    pub(super) fn new() -> Self {
        Self {
            states: LruCache::unbounded(),
            bytes: 0,
        }
    }

    /// Takes an account's state out, if it is here.
    pub(super) fn take(&mut self, account: &Account) -> Option<AccountState> {
        let cached = self.states.pop(account)?;
        self.bytes -= cached.bytes;
        Some(cached.state)
    }

    /// Keeps the states that a batch took out, as it left them.
    pub(super) fn keep(&mut self, batch: Batch) {
        for (account, Touched { state, .. }) in batch.accounts {
            let bytes = state.memory_bytes();
            self.bytes += bytes;
            self.states.put(account, Cached { state, bytes });
        }
        while self.bytes > Self::BYTES_MAX {
            let Some((_, oldest)) = self.states.pop_lru() else {
                break;
            };
            self.bytes -= oldest.bytes;
        }
    }
}
