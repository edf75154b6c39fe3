//! Bare SQLite, doing only the work per row that any ledger must do.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use rusqlite::Connection;

pub(crate) type Row = (i64, i64, String, String, Vec<u8>, i64, String);

/// The rows that these events became, to be inserted again without Tallycast. An event's id is a word, a hyphen and its
/// number.
pub(crate) fn rows(ledger: &Path, first: usize, next: usize) -> Vec<Row> {
    let connection = Connection::open(ledger).unwrap();
    let sql = "SELECT account, offset, source, id, fingerprint, happened, json FROM entry
               WHERE CAST(substr(id, instr(id, '-') + 1) AS INTEGER) BETWEEN ?1 AND ?2";
    let mut statement = connection.prepare(sql).unwrap();
    let range = [first, next - 1].map(|n| i64::try_from(n).unwrap());
    let mut rows: Vec<Row> = statement
        .query_map(range, |row| {
            let json = row.get(6)?;
            Ok((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
                row.get(5)?,
                json,
            ))
        })
        .unwrap()
        .map(Result::unwrap)
        .collect();
    rows.sort_by_key(|row| row.3.rsplit('-').next().unwrap().parse::<usize>().unwrap());
    rows
}

/// The counterpart of ingest: one connection, one prepared statement, transactions of `batch` rows, the same durability.
pub(crate) fn insert(folder: &Path, rows: &[Row], batch: usize) -> Duration {
    let mut connection = Connection::open(folder.join("bare.db")).unwrap();
    connection
        .execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
             CREATE TABLE IF NOT EXISTS entry (
                account INTEGER NOT NULL, offset INTEGER NOT NULL, source TEXT NOT NULL,
                id TEXT NOT NULL, fingerprint BLOB NOT NULL, happened INTEGER NOT NULL,
                json TEXT NOT NULL, PRIMARY KEY (account, offset)) STRICT, WITHOUT ROWID;
             CREATE UNIQUE INDEX IF NOT EXISTS entry_key ON entry (account, source, id);",
        )
        .unwrap();
    let started = Instant::now();
    for batch in rows.chunks(batch) {
        let transaction = connection.transaction().unwrap();
        let sql = "INSERT INTO entry VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let mut statement = transaction.prepare_cached(sql).unwrap();
        for (account, offset, source, id, fingerprint, happened, json) in batch {
            statement
                .execute((account, offset, source, id, fingerprint, happened, json))
                .unwrap();
        }
        drop(statement);
        transaction.commit().unwrap();
    }
    started.elapsed()
}
