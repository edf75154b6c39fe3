use std::ops::RangeInclusive;

use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior};

use super::{
    account::{StoredAccount, find_account},
    days::read_days,
    entries::{stored_entry, unreadable},
    place,
    recent::{Recent, Unindexed},
    revocations::read_revocations,
};
use crate::{
    domain::{Account, AccountState, StoredEntry, StoredRevocation},
    ledger::{
        AccountView, DayRange, DaysView, EntryRange, HappenedEntry, LedgerError, LedgerReader,
    },
};

pub(super) struct SqliteReader {
    connection: Connection,
    recent: Recent,
}

impl SqliteReader {
    pub(super) fn new(connection: Connection, recent: Recent) -> Self {
        Self { connection, recent }
    }
}

impl LedgerReader for SqliteReader {
    fn view(&mut self, account: &Account, entries: EntryRange) -> Result<AccountView, LedgerError> {
        // Before the transaction begins, as `Recent` requires.
        let unindexed = self.recent.of(account);
        // One transaction, so that the state and the entries are of the same commit.
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Deferred)?;
        let Some(found) = find_account(&transaction, account, unindexed)? else {
            return Ok(AccountView {
                state: AccountState::default(),
                entries: Vec::new(),
            });
        };
        let entries = read_entries(&transaction, &found, entries)?;
        let state = found.state;
        Ok(AccountView { state, entries })
    }

    fn days(&mut self, account: &Account, days: DayRange) -> Result<DaysView, LedgerError> {
        let unindexed = self.recent.of(account);
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Deferred)?;
        let Some(found) = find_account(&transaction, account, unindexed)? else {
            return Ok(DaysView {
                state: AccountState::default(),
                days: Vec::new(),
                next: None,
            });
        };
        let (days, next) = read_days(&transaction, found.number, days)?;
        let state = found.state;
        Ok(DaysView { state, days, next })
    }

    fn happened_after(
        &mut self,
        account: &Account,
        offset: u64,
        count: usize,
    ) -> Result<Vec<HappenedEntry>, LedgerError> {
        let unindexed = self.recent.of(account);
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Deferred)?;
        read_happened(&transaction, account, unindexed, offset, count)
    }

    fn revocations(&mut self) -> Result<Vec<StoredRevocation>, LedgerError> {
        Ok(read_revocations(&self.connection)?)
    }
}

fn read_entries(
    connection: &Connection,
    account: &StoredAccount,
    entries: EntryRange,
) -> Result<Vec<StoredEntry>, LedgerError> {
    let unindexed = account.unindexed.iter().map(|new| new.entry.clone());
    let (offset, count, bytes) = match entries {
        EntryRange::None => return Ok(Vec::new()),
        EntryRange::After {
            offset,
            count,
            bytes,
        } => {
            let mut page = EntryPage::new(count, bytes);
            let behind = unindexed.filter(|entry| entry.offset > offset);
            page.read(
                connection,
                OLDEST_FIRST,
                place::after(account.number, offset),
            )?;
            page.add(behind);
            return Ok(page.entries);
        }
        EntryRange::Before {
            offset,
            count,
            bytes,
        } => (offset, count, bytes),
        EntryRange::Last { count, bytes } => (u64::MAX, count, bytes),
    };
    let mut page = EntryPage::new(count, bytes);
    page.add(unindexed.rev().filter(|entry| entry.offset < offset));
    page.read(
        connection,
        NEWEST_FIRST,
        place::before(account.number, offset),
    )?;
    if matches!(entries, EntryRange::Last { .. }) {
        page.entries.reverse();
    }
    Ok(page.entries)
}

// There is no LIMIT: the statement would have to be compiled again for each value.
const OLDEST_FIRST: &str =
    "SELECT offset, json FROM entry_place AS at CROSS JOIN entry ON number = at.entry
    WHERE at.place BETWEEN ?1 AND ?2 ORDER BY at.place";
const NEWEST_FIRST: &str =
    "SELECT offset, json FROM entry_place AS at CROSS JOIN entry ON number = at.entry
    WHERE at.place BETWEEN ?1 AND ?2 ORDER BY at.place DESC";

/// Entries, up to a number and to their JSON's bytes. The first is always added.
struct EntryPage {
    entries: Vec<StoredEntry>,
    count_left: usize,
    bytes_left: usize,
}

impl EntryPage {
    fn new(count: usize, bytes: usize) -> Self {
        Self {
            entries: Vec::new(),
            count_left: count,
            bytes_left: bytes,
        }
    }

    fn add(&mut self, entries: impl IntoIterator<Item = StoredEntry>) {
        for entry in entries {
            if !self.reserve(entry.json.get().len()) {
                return;
            }
            self.entries.push(entry);
        }
    }

    /// Adds the entries at these places, in the order of the statement.
    fn read(
        &mut self,
        connection: &Connection,
        sql: &str,
        places: RangeInclusive<i64>,
    ) -> Result<(), LedgerError> {
        let (first, last) = places.into_inner();
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query((first, last))?;
        while self.count_left > 0
            && let Some(row) = rows.next()?
        {
            let json: String = row.get(1)?;
            if !self.reserve(json.len()) {
                break;
            }
            self.entries.push(stored_entry(row.get(0)?, json)?);
        }
        Ok(())
    }

    /// Reserves space for an entry. Once it fails the page is complete, since it must not skip an entry.
    fn reserve(&mut self, bytes: usize) -> bool {
        let fits = bytes <= self.bytes_left || self.entries.is_empty();
        if self.count_left == 0 || !fits {
            self.count_left = 0;
            return false;
        }
        self.count_left -= 1;
        self.bytes_left = self.bytes_left.saturating_sub(bytes);
        true
    }
}

/// At most `count` of an account's entries after `offset`, oldest first.
pub(super) fn read_happened(
    connection: &Connection,
    account: &Account,
    unindexed: Unindexed,
    offset: u64,
    count: usize,
) -> Result<Vec<HappenedEntry>, LedgerError> {
    let Some(found) = find_account(connection, account, unindexed)? else {
        return Ok(Vec::new());
    };
    let mut statement = connection.prepare_cached(
        "SELECT offset, json, count, happened
         FROM entry_place AS at CROSS JOIN entry ON number = at.entry
         WHERE at.place BETWEEN ?1 AND ?2 ORDER BY at.place",
    )?;
    let (first, last) = place::after(found.number, offset).into_inner();
    let mut rows = statement.query((first, last))?;
    let mut entries = Vec::new();
    while entries.len() < count
        && let Some(row) = rows.next()?
    {
        entries.push(HappenedEntry {
            entry: stored_entry(row.get(0)?, row.get(1)?)?,
            count: row.get(2)?,
            happened: Timestamp::from_millisecond(row.get(3)?).map_err(unreadable)?,
        });
    }
    let unindexed = found
        .unindexed
        .iter()
        .filter(|new| new.entry.offset > offset);
    let left = count - entries.len();
    entries.extend(unindexed.take(left).map(|new| HappenedEntry::from(&**new)));
    Ok(entries)
}
