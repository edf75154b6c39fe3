use std::{ops::RangeInclusive, sync::Arc};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior};
use serde_json::value::RawValue;

use super::{
    days::read_days,
    place,
    recent::{Recent, Unindexed},
};
use crate::{
    domain::{Account, AccountState, EventKey, Happened, Stamp, StoredEntry},
    ledger::{
        AccountView, DayRange, DaysView, EntryRange, HappenedEntry, LedgerError, LedgerReader,
        NewEntry,
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
        // One read transaction: the state and the entries are of the same commit.
        let unindexed = self.recent.of(account);
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
}

/// An account in this file.
pub(super) struct Found {
    pub(super) number: i64,
    /// The offset of the last entry that the stored state counts.
    pub(super) written: u64,
    pub(super) state: AccountState,
    /// The entries that are in no index, oldest first.
    unindexed: Vec<Arc<NewEntry>>,
}

/// An account's state: the stored one, and what was recorded since added to it.
pub(super) fn find_account(
    connection: &Connection,
    account: &Account,
    unindexed: Unindexed,
) -> Result<Option<Found>, LedgerError> {
    let found = connection
        .prepare_cached("SELECT number, state FROM account WHERE name = ?1")?
        .query_row([account.as_str()], |row| {
            Ok((row.get(0)?, row.get::<_, String>(1)?))
        })
        .optional()?;
    let Some((number, state)) = found else {
        return Ok(None);
    };
    let mut state: AccountState = serde_json::from_str(&state)
        .map_err(|error| LedgerError::new(format!("an account's state is unreadable: {error}")))?;
    let written = state.offset;
    replay(connection, number, &mut state)?;
    // Whatever the stored state counts is in the indexes: so now it is as far as those are.
    let unindexed = unindexed.after(state.generation, state.offset);
    for new in &unindexed {
        state.replay(&HappenedEntry::from(&**new).read());
    }
    Ok(Some(Found {
        number,
        written,
        state,
        unindexed,
    }))
}

/// Adds the entries that a stored state lacks and that are in the indexes: fewer than
/// [`super::ENTRIES_BEHIND_MAX`].
fn replay(
    connection: &Connection,
    number: i64,
    state: &mut AccountState,
) -> Result<(), LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT json, count, happened FROM entry_place AS at CROSS JOIN entry ON number = at.entry
         WHERE at.place BETWEEN ?1 AND ?2 ORDER BY at.place",
    )?;
    let (first, last) = place::after(number, state.offset).into_inner();
    let mut rows = statement.query((first, last))?;
    while let Some(row) = rows.next()? {
        let json = row.get_ref(0)?.as_str().map_err(unreadable)?;
        state.replay(&Happened {
            entry: serde_json::from_str(json).map_err(unreadable)?,
            count: row.get(1)?,
            happened: Timestamp::from_millisecond(row.get(2)?).map_err(unreadable)?,
        });
    }
    Ok(())
}

fn read_entries(
    connection: &Connection,
    account: &Found,
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
            let mut page = Page::new(count, bytes);
            let behind = unindexed.filter(|entry| entry.offset > offset);
            page.read(connection, OLDEST, place::after(account.number, offset))?;
            page.take(behind);
            return Ok(page.entries);
        }
        EntryRange::Before {
            offset,
            count,
            bytes,
        } => (offset, count, bytes),
        EntryRange::Last { count, bytes } => (u64::MAX, count, bytes),
    };
    let mut page = Page::new(count, bytes);
    page.take(unindexed.rev().filter(|entry| entry.offset < offset));
    page.read(connection, NEWEST, place::before(account.number, offset))?;
    if matches!(entries, EntryRange::Last { .. }) {
        page.entries.reverse();
    }
    Ok(page.entries)
}

// Without a limit: the statement would be compiled anew for each.
const OLDEST: &str =
    "SELECT offset, json FROM entry_place AS at CROSS JOIN entry ON number = at.entry
    WHERE at.place BETWEEN ?1 AND ?2 ORDER BY at.place";
const NEWEST: &str =
    "SELECT offset, json FROM entry_place AS at CROSS JOIN entry ON number = at.entry
    WHERE at.place BETWEEN ?1 AND ?2 ORDER BY at.place DESC";

/// Entries up to a number of them and of their bytes; the first is always taken.
struct Page {
    entries: Vec<StoredEntry>,
    count_left: usize,
    bytes_left: usize,
}

impl Page {
    fn new(count: usize, bytes: usize) -> Self {
        Self {
            entries: Vec::new(),
            count_left: count,
            bytes_left: bytes,
        }
    }

    fn take(&mut self, entries: impl IntoIterator<Item = StoredEntry>) {
        for entry in entries {
            if !self.has_room(entry.json.get().len()) {
                return;
            }
            self.entries.push(entry);
        }
    }

    /// Takes entries at these places, in this order.
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
            if !self.has_room(json.len()) {
                break;
            }
            self.entries.push(stored_entry(row.get(0)?, json)?);
        }
        Ok(())
    }

    /// Takes room for an entry, if there is some. Where there is none, nothing else is taken either.
    fn has_room(&mut self, bytes: usize) -> bool {
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

/// At most `count` entries after `offset`, with what windows are counted from.
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

/// An entry with all that is stored of it: `name, offset, source, id, fingerprint, day, revision, happened,
/// count, reverses, json`.
pub(super) fn read_new_entry(row: &Row<'_>) -> Result<NewEntry, LedgerError> {
    let account: String = row.get(0)?;
    let reverses: Option<i64> = row.get(9)?;
    Ok(NewEntry {
        account: Account::parse(&account).map_err(unreadable)?,
        entry: stored_entry(row.get(1)?, row.get(10)?)?,
        key: EventKey {
            source: row.get(2)?,
            id: row.get(3)?,
        },
        fingerprint: row.get(4)?,
        stamp: Stamp {
            day: row.get(5)?,
            revision: row.get(6)?,
        },
        happened: Timestamp::from_millisecond(row.get(7)?).map_err(unreadable)?,
        count: row.get(8)?,
        reverses: reverses.map(i64::cast_unsigned),
    })
}

pub(super) fn stored_entry(offset: i64, json: String) -> Result<StoredEntry, LedgerError> {
    let json = RawValue::from_string(json).map_err(unreadable)?;
    Ok(StoredEntry {
        offset: offset.cast_unsigned(),
        json: Arc::from(json),
    })
}

fn unreadable(error: impl std::error::Error) -> LedgerError {
    LedgerError::new(format!("an entry is unreadable: {error}"))
}

/// Offsets stay below 2^53; anything greater means "the end".
pub(super) fn sql_integer(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}
