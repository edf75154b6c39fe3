//! The two tables that serve as indexes of the entries: by place, and by key.

use rusqlite::{Connection, OptionalExtension};

use super::{failure::LedgerFailure, place::place};
use crate::{domain::EventKey, ledger::NewEntry};

/// Writes entries of the account with this number to the indexes; each comes with the number of its row.
pub(super) fn write_index<'a>(
    connection: &Connection,
    account: i64,
    entries: impl IntoIterator<Item = (i64, &'a NewEntry)>,
) -> Result<(), LedgerFailure> {
    let mut places =
        connection.prepare_cached("INSERT INTO entry_place (place, entry) VALUES (?1, ?2)")?;
    let mut keys = connection.prepare_cached(
        "INSERT INTO entry_key (account, source, id, entry) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for (number, new) in entries {
        let place = place(account, new.entry.offset).ok_or(LedgerFailure::Full)?;
        places.execute((place, number))?;
        keys.execute((account, &new.key.source, &new.key.id, number))?;
    }
    Ok(())
}

/// Remembers that the indexes have all entries up to the row `last`.
pub(super) fn write_indexed(connection: &Connection, last: i64) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("UPDATE history SET indexed = ?1")?;
    statement.execute([last]).map(drop)
}

/// The row number of an indexed entry with this key.
pub(super) fn find_key(
    connection: &Connection,
    account: i64,
    key: &EventKey,
) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT entry FROM entry_key WHERE account = ?1 AND source = ?2 AND id = ?3";
    connection
        .prepare_cached(sql)?
        .query_row((account, &key.source, &key.id), |row| row.get(0))
        .optional()
}
