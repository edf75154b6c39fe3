//! Entries as they came, one behind the other, until they are at their place among their account's.
//!
//! Events go to accounts in no order. An entry that is written to its place alone costs two or three pages:
//! its own, and those that a full one is balanced with. Sixteen of an account cost little more. So they wait
//! here, where a page takes many, and are placed together.

use std::collections::{HashMap, VecDeque};

use rusqlite::Connection;

use super::{
    read::{find_account, read_new_entry},
    recent::{Recent, Unplaced},
};
use crate::{
    domain::Account,
    ledger::{LedgerError, NewEntry},
};

/// The journal holds about so many entries, and so many bytes of their JSON. It bounds what a start reads,
/// and the memory that [`Recent`] takes: about 50 MB.
const ENTRIES_MAX: usize = 65_536;
const BYTES_MAX: usize = 32 * 1024 * 1024;
/// So many of the oldest leave at a time, which takes some milliseconds: the next commit may wait for them.
const LEAVING: usize = 256;

/// What the writer knows of the table.
#[derive(Debug, Default)]
pub(super) struct Journal {
    /// Oldest first.
    parts: VecDeque<Part>,
    size: Size,
}

/// Some rows in a row. Their entries may be at their place by now.
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

/// Rows that have to go, once the entries of these accounts are at their place.
#[derive(Debug)]
pub(super) struct Leaving {
    pub(super) accounts: Vec<Account>,
    /// The number of the last row.
    pub(super) last: i64,
    parts: usize,
}

impl Journal {
    /// Reads what the last server left, and which entries are in no other table.
    pub(super) fn load(connection: &Connection) -> Result<(Self, Recent), LedgerError> {
        let (mut journal, recent) = (Self::default(), Recent::default());
        let mut placed = HashMap::new();
        let mut statement = connection.prepare(
            "SELECT name, offset, source, id, fingerprint, day, revision, happened, count, reverses, json,
                    journal.number
             FROM journal JOIN account ON account.number = journal.account ORDER BY journal.number",
        )?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let new = read_new_entry(row)?;
            journal.add(row.get("number")?, [&new]);
            let account = new.account.clone();
            if !placed.contains_key(&account) {
                let found = find_account(connection, &account, Unplaced::default())?;
                let state = found.map(|found| found.state).unwrap_or_default();
                placed.insert(account.clone(), (state.generation, state.offset));
            }
            let (generation, placed) = placed[&account];
            if new.entry.offset > placed {
                recent.change().add(&account, generation, [new]);
            }
        }
        Ok((journal, recent))
    }

    /// These are in the table, up to the row of this number.
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
        self.size.entries += part.size.entries;
        self.size.bytes += part.size.bytes;
        self.parts.push_back(part);
    }

    /// The oldest rows, if it holds too much.
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

    /// They are gone.
    pub(super) fn left(&mut self, leaving: &Leaving) {
        for part in self.parts.drain(..leaving.parts) {
            self.size.entries -= part.size.entries;
            self.size.bytes -= part.size.bytes;
        }
    }
}
