//! Entries that are not in the indexes yet, shared by the writer and the readers.

use std::{
    collections::HashMap,
    hash::BuildHasher,
    sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use crate::{
    domain::{Account, EventKey},
    ledger::NewEntry,
};

/// How many entries an account's stored state, and the indexes, may lack. Readers add fewer entries than this to
/// a stored state, and the writer writes state and indexes once per this many entries.
pub(super) const ENTRIES_BEHIND_MAX: u64 = 16;

/// The entries of each account, fewer than [`ENTRIES_BEHIND_MAX`], that follow those in the indexes.
///
/// The writer adds entries once they are durable, and removes them once the indexes have them. So a reader must
/// look here *before* its transaction begins: an entry that is indexed in between is then in both places, and
/// never in neither.
#[derive(Debug, Clone, Default)]
pub(super) struct Recent(Arc<RwLock<HashMap<Account, Unindexed>>>);

/// An account's entries that are not in the indexes, oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Unindexed {
    generation: u64,
    /// The hashes of their keys. Most keys are not here, and a scan of hashes finds that out fastest.
    hashes: Vec<u64>,
    entries: Vec<NumberedEntry>,
}

/// An entry and the number of its row.
#[derive(Debug, Clone)]
pub(super) struct NumberedEntry {
    pub(super) number: i64,
    pub(super) new: Arc<NewEntry>,
}

impl Recent {
    pub(super) fn of(&self, account: &Account) -> Unindexed {
        self.read().get(account).cloned().unwrap_or_default()
    }

    /// The entry with this key, if it is here.
    pub(super) fn find(&self, account: &Account, key: &EventKey) -> Option<Arc<NewEntry>> {
        let accounts = self.read();
        let Unindexed {
            hashes, entries, ..
        } = accounts.get(account)?;
        let hash = accounts.hasher().hash_one(key);
        let mut alike = entries.iter().zip(hashes).filter(|(_, of)| **of == hash);
        let (found, _) = alike.find(|(entry, _)| entry.new.key == *key)?;
        Some(found.new.clone())
    }

    /// Starts a change, which readers see as a whole when it is dropped.
    pub(super) fn change(&self) -> RecentChange<'_> {
        RecentChange(self.write())
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<Account, Unindexed>> {
        self.0
            .read()
            .expect("nothing panics while it holds the lock")
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<Account, Unindexed>> {
        self.0
            .write()
            .expect("nothing panics while it holds the lock")
    }
}

/// A change that readers see as a whole.
pub(super) struct RecentChange<'a>(RwLockWriteGuard<'a, HashMap<Account, Unindexed>>);

impl RecentChange<'_> {
    /// Adds an account's next entries, which must be durable, with the numbers of their rows.
    pub(super) fn add(
        &mut self,
        account: &Account,
        generation: u64,
        new: impl IntoIterator<Item = (i64, NewEntry)>,
    ) {
        let hasher = self.0.hasher().clone();
        let unindexed = self.0.entry(account.clone()).or_default();
        unindexed.generation = generation;
        for (number, new) in new {
            unindexed.hashes.push(hasher.hash_one(&new.key));
            let new = Arc::new(new);
            unindexed.entries.push(NumberedEntry { number, new });
        }
    }

    /// Removes an account's entries if the oldest of them is in a row up to `last`: the indexes then have all.
    pub(super) fn remove_up_to(&mut self, last: i64, account: &Account) {
        let oldest = self.0.get(account).and_then(|of| of.entries.first());
        if oldest.is_some_and(|oldest| oldest.number <= last) {
            self.remove(account);
        }
    }

    /// Removes an account's entries, which are in the indexes or erased.
    pub(super) fn remove(&mut self, account: &Account) {
        self.0.remove(account);
    }
}

impl Unindexed {
    pub(super) fn entries(&self) -> &[NumberedEntry] {
        &self.entries
    }

    /// The entries after `offset`; none if the generation differs, since they were then recorded before an
    /// erasure.
    pub(super) fn after(self, generation: u64, offset: u64) -> Vec<Arc<NewEntry>> {
        if self.generation != generation {
            return Vec::new();
        }
        let entries = self.entries.into_iter().map(|entry| entry.new);
        entries.filter(|new| new.entry.offset > offset).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::value::RawValue;

    use super::*;
    use crate::domain::{Stamp, StoredEntry};

    #[test]
    fn entries_from_before_an_erasure_are_none() {
        let alice = Account::parse("alice").unwrap();
        let json = RawValue::from_string("{}".to_owned()).unwrap();
        let entry = |offset| NewEntry {
            account: alice.clone(),
            key: EventKey {
                source: String::new(),
                id: String::new(),
            },
            fingerprint: [0; 16],
            stamp: Stamp {
                day: 0,
                revision: 0,
            },
            happened: jiff::Timestamp::UNIX_EPOCH,
            count: 1,
            reverses: None,
            entry: StoredEntry {
                offset,
                json: Arc::from(json.clone()),
            },
        };
        let recent = Recent::default();
        let entries = [(12, entry(2)), (13, entry(3))];
        recent.change().add(&alice, 7, entries);
        let offsets = |generation, offset| {
            let after = recent.of(&alice).after(generation, offset);
            after.iter().map(|new| new.entry.offset).collect::<Vec<_>>()
        };
        assert_eq!(offsets(7, 1), [2, 3]);
        assert_eq!(offsets(7, 2), [3]);
        assert_eq!(offsets(8, 1), [0; 0]);
    }
}
