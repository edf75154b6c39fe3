use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{CachedStatement, Connection, OptionalExtension, ToSql, TransactionBehavior};
use serde_json::value::RawValue;

use super::{days::read_days, place};
use crate::{
    domain::{Account, AccountState, Happened, StoredEntry},
    ledger::{Days, DaysView, Entries, HappenedEntry, LedgerError, LedgerReader, View},
};

pub(super) struct SqliteReader {
    connection: Connection,
}

impl SqliteReader {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection }
    }
}

impl LedgerReader for SqliteReader {
    fn view(&mut self, account: &Account, entries: Entries) -> Result<View, LedgerError> {
        // One read transaction: the state and the entries are of the same commit.
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Deferred)?;
        let Some(Found { number, state, .. }) = find_account(&transaction, account)? else {
            return Ok(View {
                state: AccountState::default(),
                entries: Vec::new(),
            });
        };
        let entries = read_entries(&transaction, number, entries)?;
        Ok(View { state, entries })
    }

    fn days(&mut self, account: &Account, days: Days) -> Result<DaysView, LedgerError> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Deferred)?;
        let Some(Found { number, state, .. }) = find_account(&transaction, account)? else {
            return Ok(DaysView {
                state: AccountState::default(),
                days: Vec::new(),
                next: None,
            });
        };
        let (days, next) = read_days(&transaction, number, days)?;
        Ok(DaysView { state, days, next })
    }

    fn happened_after(
        &mut self,
        account: &Account,
        offset: u64,
        count: usize,
    ) -> Result<Vec<HappenedEntry>, LedgerError> {
        let number = self
            .connection
            .prepare_cached("SELECT number FROM account WHERE name = ?1")?
            .query_row([account.as_str()], |row| row.get(0))
            .optional()?;
        match number {
            Some(number) => read_happened(&self.connection, number, offset, count),
            None => Ok(Vec::new()),
        }
    }
}

/// An account in this file.
pub(super) struct Found {
    pub(super) number: i64,
    /// The offset of the last entry that the stored state counts, and whose key is in the table of keys.
    pub(super) written: u64,
    pub(super) state: AccountState,
}

/// An account's state: the stored one, and what was recorded since added to it.
pub(super) fn find_account(
    connection: &Connection,
    account: &Account,
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
    Ok(Some(Found {
        number,
        written,
        state,
    }))
}

/// Adds the entries that a stored state lacks: fewer than [`super::ENTRIES_BEHIND_MAX`].
fn replay(
    connection: &Connection,
    number: i64,
    state: &mut AccountState,
) -> Result<(), LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT json, count, happened FROM entry WHERE place BETWEEN ?1 AND ?2 ORDER BY place",
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
    number: i64,
    entries: Entries,
) -> Result<Vec<StoredEntry>, LedgerError> {
    const OLDEST: &str = "SELECT offset, json FROM entry
        WHERE place BETWEEN ?1 AND ?2 ORDER BY place LIMIT ?3";
    const NEWEST: &str = "SELECT offset, json FROM entry
        WHERE place BETWEEN ?1 AND ?2 ORDER BY place DESC LIMIT ?3";
    let (sql, places, count, bytes) = match entries {
        Entries::None => return Ok(Vec::new()),
        Entries::After {
            offset,
            count,
            bytes,
        } => (OLDEST, place::after(number, offset), count, bytes),
        Entries::Before {
            offset,
            count,
            bytes,
        } => (NEWEST, place::before(number, offset), count, bytes),
        Entries::Last { count, bytes } => (NEWEST, place::after(number, 0), count, bytes),
    };
    let (first, last) = places.into_inner();
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let statement = connection.prepare_cached(sql)?;
    let mut read = collect(statement, &[&first, &last, &count], bytes)?;
    if matches!(entries, Entries::Last { .. }) {
        read.reverse();
    }
    Ok(read)
}

fn collect(
    mut statement: CachedStatement<'_>,
    parameters: &[&dyn ToSql],
    bytes_max: usize,
) -> Result<Vec<StoredEntry>, LedgerError> {
    let mut rows = statement.query(parameters)?;
    let mut entries = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let json: String = row.get(1)?;
        bytes += json.len();
        if bytes > bytes_max && !entries.is_empty() {
            break;
        }
        entries.push(stored_entry(row.get(0)?, json)?);
    }
    Ok(entries)
}

/// At most `count` entries after `offset`, with what windows are counted from.
pub(super) fn read_happened(
    connection: &Connection,
    number: i64,
    offset: u64,
    count: usize,
) -> Result<Vec<HappenedEntry>, LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT offset, json, count, happened FROM entry
         WHERE place BETWEEN ?1 AND ?2 ORDER BY place LIMIT ?3",
    )?;
    let (first, last) = place::after(number, offset).into_inner();
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let mut rows = statement.query((first, last, count))?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let happened = Timestamp::from_millisecond(row.get(3)?);
        entries.push(HappenedEntry {
            entry: stored_entry(row.get(0)?, row.get(1)?)?,
            count: row.get(2)?,
            happened: happened.map_err(|error| LedgerError::new(error.to_string()))?,
        });
    }
    Ok(entries)
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
