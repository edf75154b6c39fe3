//! The table of revocations.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::{Connection, Row, types::Type};

use crate::domain::StoredRevocation;

/// How often expired revocations are looked for. It reads the whole table, which takes some milliseconds.
const REMOVAL_INTERVAL: Duration = Duration::from_secs(60);

/// When expired revocations are removed next.
#[derive(Default)]
pub(super) struct RemovalTimer(Option<Instant>);

impl RemovalTimer {
    /// Whether it is time, which then starts anew.
    pub(super) fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let is_due = self
            .0
            .is_none_or(|last| now.duration_since(last) >= REMOVAL_INTERVAL);
        if is_due {
            self.0 = Some(now);
        }
        is_due
    }
}

/// Stores a revocation in place of an earlier one with the same key.
pub(super) fn write_revocation(
    connection: &Connection,
    revocation: &StoredRevocation,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO revocation (key, issued_before, expires_at) VALUES (?1, ?2, ?3)",
        )?
        .execute((
            revocation.key.as_bytes(),
            revocation.issued_before.map(Timestamp::as_millisecond),
            revocation.expires_at.as_millisecond(),
        ))
        .map(drop)
}

pub(super) fn read_revocations(connection: &Connection) -> rusqlite::Result<Vec<StoredRevocation>> {
    let sql = "SELECT key, issued_before, expires_at FROM revocation";
    let mut statement = connection.prepare(sql)?;
    statement.query_map((), stored)?.collect()
}

/// Whether there is a revocation that has expired by `now`.
pub(super) fn has_expired(connection: &Connection, now: Timestamp) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM revocation WHERE expires_at <= ?1";
    let mut statement = connection.prepare_cached(sql)?;
    statement.exists([now.as_millisecond()])
}

pub(super) fn remove_expired(connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    let sql = "DELETE FROM revocation WHERE expires_at <= ?1";
    connection
        .prepare_cached(sql)?
        .execute([now.as_millisecond()])
        .map(drop)
}

fn stored(row: &Row<'_>) -> rusqlite::Result<StoredRevocation> {
    let key: [u8; 32] = row.get(0)?;
    let instant = |column: usize, millis: i64| {
        Timestamp::from_millisecond(millis).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(column, Type::Integer, error.into())
        })
    };
    let issued_before: Option<i64> = row.get(1)?;
    Ok(StoredRevocation {
        key: key.into(),
        issued_before: issued_before.map(|millis| instant(1, millis)).transpose()?,
        expires_at: instant(2, row.get(2)?)?,
    })
}
