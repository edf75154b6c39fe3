//! The table of entries.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, Row};
use serde_json::value::RawValue;

use super::{
    account_rows::AccountRows,
    failure::LedgerFailure,
    place::{place, sql_integer},
};
use crate::{
    domain::{Account, EventKey, Stamp, StoredEntry},
    ledger::{LedgerError, NewEntry, RecordedEvent},
};

/// Writes entries into the rows after `last`, and returns them with the numbers of their rows.
pub(super) fn write_entries<'a>(
    connection: &Connection,
    rows: &AccountRows,
    last: i64,
    entries: &'a [NewEntry],
) -> Result<Vec<(i64, &'a NewEntry)>, LedgerFailure> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO entry (number, place, source, id, fingerprint, day, revision, happened, count,
                            reverses, json)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    let written = (last + 1..).zip(entries).map(|(number, new)| {
        let account = rows.cached_number(&new.account)?;
        // Rounded down, so that the date stays the same in every time zone.
        let happened = new.happened.as_nanosecond().div_euclid(1_000_000);
        let happened = i64::try_from(happened).expect("milliseconds of 10,000 years fit");
        statement.execute((
            number,
            place(account, new.entry.offset).ok_or(LedgerFailure::Full)?,
            &new.key.source,
            &new.key.id,
            new.fingerprint,
            new.stamp.day,
            new.stamp.revision,
            happened,
            new.count,
            new.reverses.map(sql_integer),
            new.entry.json.get(),
        ))?;
        Ok((number, new))
    });
    written.collect()
}

/// Reads the event whose entry is in the row `number`.
pub(super) fn find_recorded(
    connection: &Connection,
    number: i64,
) -> Result<Option<RecordedEvent>, LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT offset, json, fingerprint, day, revision FROM entry WHERE number = ?1",
    )?;
    let mut rows = statement.query([number])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    Ok(Some(RecordedEvent {
        entry: stored_entry(row.get(0)?, row.get(1)?)?,
        fingerprint: row.get(2)?,
        stamp: Stamp {
            day: row.get(3)?,
            revision: row.get(4)?,
        },
    }))
}

/// Reads an entry from a row of the columns `name, offset, source, id, fingerprint, day, revision, happened,
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

pub(super) fn unreadable(error: impl std::error::Error) -> LedgerError {
    LedgerError::new(format!("an entry is unreadable: {error}"))
}
