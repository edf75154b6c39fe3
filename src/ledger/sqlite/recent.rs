//! Entries that are recorded and not at their place yet, for whoever reads an account.

use std::{
    collections::HashMap,
    hash::BuildHasher,
    sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use crate::{
    domain::{Account, EventKey},
    ledger::NewEntry,
};

/// What the [`journal`](super::journal) holds alone: of each account fewer than
/// [`ENTRIES_BEHIND_MAX`](super::ENTRIES_BEHIND_MAX), which continue those in the table of entries.
///
/// The writer puts entries in once they are durable, and takes them out once they are at their place. So
/// whoever reads looks here *before* its transaction begins: what is moved in between is in both.
#[derive(Debug, Clone, Default)]
pub(super) struct Recent(Arc<RwLock<HashMap<Account, Unplaced>>>);

/// An account's entries that are not at their place, oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Unplaced {
    generation: u64,
    /// Hashes of their keys, side by side: most keys that are looked for are not here.
    hashes: Vec<u64>,
    entries: Vec<Arc<NewEntry>>,
}

impl Recent {
    pub(super) fn of(&self, account: &Account) -> Unplaced {
        self.read().get(account).cloned().unwrap_or_default()
    }

    /// What this key recorded, if it is here.
    pub(super) fn find(&self, account: &Account, key: &EventKey) -> Option<Arc<NewEntry>> {
        let accounts = self.read();
        let Unplaced {
            hashes, entries, ..
        } = accounts.get(account)?;
        let hash = accounts.hasher().hash_one(key);
        let mut alike = entries.iter().zip(hashes).filter(|(_, of)| **of == hash);
        let found = alike.find(|(new, _)| new.key == *key)?;
        Some(found.0.clone())
    }

    /// Whether a reversal of the entry at `offset` is here.
    pub(super) fn reverses(&self, account: &Account, offset: u64) -> bool {
        let accounts = self.read();
        let unplaced = accounts.get(account);
        unplaced.is_some_and(|unplaced| {
            let mut entries = unplaced.entries.iter();
            entries.any(|new| new.reverses == Some(offset))
        })
    }

    /// Takes and gives, as one change.
    pub(super) fn change(&self) -> Changing<'_> {
        Changing(self.write())
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<Account, Unplaced>> {
        self.0
            .read()
            .expect("nothing panics while it holds the lock")
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<Account, Unplaced>> {
        self.0
            .write()
            .expect("nothing panics while it holds the lock")
    }
}

/// A change that readers see as a whole.
pub(super) struct Changing<'a>(RwLockWriteGuard<'a, HashMap<Account, Unplaced>>);

impl Changing<'_> {
    /// An account's next entries are durable.
    pub(super) fn add(
        &mut self,
        account: &Account,
        generation: u64,
        new: impl IntoIterator<Item = NewEntry>,
    ) {
        let hasher = self.0.hasher().clone();
        let unplaced = self.0.entry(account.clone()).or_default();
        unplaced.generation = generation;
        for new in new {
            unplaced.hashes.push(hasher.hash_one(&new.key));
            unplaced.entries.push(Arc::new(new));
        }
    }

    /// All of an account's entries are at their place, or gone.
    pub(super) fn remove(&mut self, account: &Account) {
        self.0.remove(account);
    }
}

impl Unplaced {
    pub(super) fn entries(&self) -> &[Arc<NewEntry>] {
        &self.entries
    }

    /// Those that a table lacks which has the account's entries up to this offset. What was recorded before
    /// an erasure has another generation, and is none of the account's.
    pub(super) fn after(mut self, generation: u64, offset: u64) -> Vec<Arc<NewEntry>> {
        if self.generation != generation {
            return Vec::new();
        }
        self.entries.retain(|new| new.entry.offset > offset);
        self.entries
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
        recent.change().add(&alice, 7, [entry(2), entry(3)]);
        let offsets = |generation, offset| {
            let after = recent.of(&alice).after(generation, offset);
            after.iter().map(|new| new.entry.offset).collect::<Vec<_>>()
        };
        assert_eq!(offsets(7, 1), [2, 3]);
        assert_eq!(offsets(7, 2), [3]);
        assert_eq!(offsets(8, 1), [0; 0]);
    }
}
