//! Entries that are not in the indexes yet, oldest first.
//!
//! Events arrive for accounts in random order, so each entry changes one page in the index of places and one in
//! the index of keys that no other entry of its commit changes. Sixteen entries of one account, written together,
//! change about as many pages as one. So entries wait, and a commit writes only to the table of entries, which is
//! in the order of arrival.

use std::collections::{HashMap, VecDeque};

use rusqlite::Connection;

use super::{
    account::find_account,
    entries::read_new_entry,
    recent::{Recent, Unindexed},
};
use crate::{
    domain::Account,
    ledger::{LedgerError, NewEntry},
};

/// Roughly the most rows, and the most bytes of JSON, of entries that are not in the indexes. They bound what a
/// start reads, and the memory of [`Recent`]: about 50 MB.
const ENTRIES_MAX: usize = 65_536;
const BYTES_MAX: usize = 32 * 1024 * 1024;
/// About how many of the oldest entries are indexed in one transaction, which the next commit may wait for.
const INDEXED_AT_ONCE: usize = 512;

/// The last rows of the table of entries.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// Oldest first.
    commits: VecDeque<BacklogCommit>,
    size: BacklogSize,
    last: i64,
}

/// The rows of one commit. Their entries may have been indexed since.
#[derive(Debug)]
struct BacklogCommit {
    /// The number of its last row.
    last: i64,
    accounts: Vec<Account>,
    size: BacklogSize,
}

#[derive(Debug, Clone, Copy, Default)]
struct BacklogSize {
    entries: usize,
    bytes: usize,
}

/// The oldest rows, whose entries are to be indexed.
#[derive(Debug)]
pub(super) struct OldestRows {
    pub(super) accounts: Vec<Account>,
    /// The number of the last row.
    pub(super) last: i64,
    commits: usize,
}

impl Backlog {
    /// Reads the entries that the previous server did not index.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn load(connection: &Connection) -> Result<(Self, Recent), LedgerError> {
        let (mut backlog, recent) = (Self::default(), Recent::default());
        let mut generations = HashMap::new();
        let last = "SELECT max(indexed, (SELECT coalesce(max(number), 0) FROM entry)) FROM history";
        backlog.last = connection.query_row(last, (), |row| row.get(0))?;
        let mut statement = connection.prepare(
            "SELECT name, offset, source, id, fingerprint, day, revision, happened, count, reverses, json,
                    entry.number, place IN (SELECT place FROM entry_place)
             FROM entry JOIN account ON account.number = account
             WHERE entry.number > (SELECT indexed FROM history) ORDER BY entry.number",
        )?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let new = read_new_entry(row)?;
            let number = row.get(11)?;
            backlog.add(number, [&new]);
            if row.get(12)? {
                continue;
            }
            let account = new.account.clone();
            let generation = match generations.get(&account) {
                Some(generation) => *generation,
                None => {
                    let found = find_account(connection, &account, Unindexed::default())?;
                    let generation = found.map_or(0, |found| found.state.generation);
                    generations.insert(account.clone(), generation);
                    generation
                }
            };
            recent.change().add(&account, generation, [(number, new)]);
        }
        Ok((backlog, recent))
    }

    /// The number of the last row ever written. It never falls, so a number that an erasure has freed is not used
    /// again: `history.indexed` may already include it.
    pub(super) fn last(&self) -> i64 {
        self.last
    }

    /// Adds a commit's entries, the last of which is in the row `last`. Does nothing if there are none.
    pub(super) fn add<'a>(&mut self, last: i64, new: impl IntoIterator<Item = &'a NewEntry>) {
        let mut commit = BacklogCommit {
            last,
            accounts: Vec::new(),
            size: BacklogSize::default(),
        };
        for new in new {
            commit.accounts.push(new.account.clone());
            commit.size.entries += 1;
            commit.size.bytes += new.entry.json.get().len();
        }
        if commit.accounts.is_empty() {
            return;
        }
        self.last = self.last.max(last);
        self.size.entries += commit.size.entries;
        self.size.bytes += commit.size.bytes;
        self.commits.push_back(commit);
    }

    /// The oldest rows, if there are too many.
    pub(super) fn excess(&self) -> Option<OldestRows> {
        if self.size.entries <= ENTRIES_MAX && self.size.bytes <= BYTES_MAX {
            return None;
        }
        let mut oldest = OldestRows {
            accounts: Vec::new(),
            last: 0,
            commits: 0,
        };
        for commit in &self.commits {
            oldest.accounts.extend_from_slice(&commit.accounts);
            oldest.last = commit.last;
            oldest.commits += 1;
            if oldest.accounts.len() >= INDEXED_AT_ONCE {
                break;
            }
        }
        oldest.accounts.sort_unstable();
        oldest.accounts.dedup();
        Some(oldest)
    }

    /// Removes rows whose entries are in the indexes.
    pub(super) fn remove(&mut self, oldest: &OldestRows) {
        for commit in self.commits.drain(..oldest.commits) {
            self.size.entries -= commit.size.entries;
            self.size.bytes -= commit.size.bytes;
        }
    }
}
