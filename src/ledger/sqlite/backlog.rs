//! Entries that are in no index yet, oldest first.
//!
//! Events go to accounts in no order, so what an entry changes in an index is a page for it alone: where it is,
//! and its key. Sixteen of an account change as many together. So they wait, and the table of entries, which is
//! in the order of arrival, is all that a commit writes to.

use std::collections::{HashMap, VecDeque};

use rusqlite::Connection;

use super::{
    read::{find_account, read_new_entry},
    recent::{Recent, Unindexed},
};
use crate::{
    domain::Account,
    ledger::{LedgerError, NewEntry},
};

/// About so many rows may hold entries that are in no index, and so many bytes of JSON. It bounds what a start
/// reads, and the memory that [`Recent`] takes: about 50 MB.
const ENTRIES_MAX: usize = 65_536;
const BYTES_MAX: usize = 32 * 1024 * 1024;
/// So many of the oldest leave at a time: the next commit may wait for them.
const LEAVING: usize = 512;

/// The last rows of the table of entries.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// Oldest first.
    parts: VecDeque<Part>,
    size: Size,
    last: i64,
}

/// Some rows in a row. Their entries may be in the indexes by now.
#[derive(Debug)]
struct Part {
    /// The number of its last row.
    last: i64,
    accounts: Vec<Account>,
    size: Size,
}

#[derive(Debug, Clone, Copy, Default)]
struct Size {
    entries: usize,
    bytes: usize,
}

/// The oldest rows, whose entries have to be in the indexes.
#[derive(Debug)]
pub(super) struct Leaving {
    pub(super) accounts: Vec<Account>,
    /// The number of the last row.
    pub(super) last: i64,
    parts: usize,
}

impl Backlog {
    /// Reads what the last server left.
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

    /// The number of the last row. It never falls: a number that an erasure has freed may stand for what is in
    /// the indexes.
    pub(super) fn last(&self) -> i64 {
        self.last
    }

    /// These are in the table, the last in the row of this number; none are no part.
    pub(super) fn add<'a>(&mut self, last: i64, new: impl IntoIterator<Item = &'a NewEntry>) {
        let mut part = Part {
            last,
            accounts: Vec::new(),
            size: Size::default(),
        };
        for new in new {
            part.accounts.push(new.account.clone());
            part.size.entries += 1;
            part.size.bytes += new.entry.json.get().len();
        }
        if part.accounts.is_empty() {
            return;
        }
        self.last = self.last.max(last);
        self.size.entries += part.size.entries;
        self.size.bytes += part.size.bytes;
        self.parts.push_back(part);
    }

    /// The oldest rows, if there are too many.
    pub(super) fn leaving(&self) -> Option<Leaving> {
        if self.size.entries <= ENTRIES_MAX && self.size.bytes <= BYTES_MAX {
            return None;
        }
        let mut leaving = Leaving {
            accounts: Vec::new(),
            last: 0,
            parts: 0,
        };
        for part in &self.parts {
            leaving.accounts.extend_from_slice(&part.accounts);
            leaving.last = part.last;
            leaving.parts += 1;
            if leaving.accounts.len() >= LEAVING {
                break;
            }
        }
        leaving.accounts.sort_unstable();
        leaving.accounts.dedup();
        Some(leaving)
    }

    /// They are in the indexes.
    pub(super) fn left(&mut self, leaving: &Leaving) {
        for part in self.parts.drain(..leaving.parts) {
            self.size.entries -= part.size.entries;
            self.size.bytes -= part.size.bytes;
        }
    }
}
