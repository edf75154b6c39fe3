//! Connections to the database file, and their settings.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags};

use crate::ledger::LedgerError;

/// Older libraries can corrupt a WAL that two connections use (<https://sqlite.org/wal.html>).
const LIBRARY_VERSION_MIN: i32 = 3_051_003;
/// How long a statement waits for another process, such as a backup, before it fails.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The page caches of the writer's connection and of each reader's, in KiB. The operating system's cache is
/// behind both. The writer's holds the pages of indexes and states that change often.
const WRITER_CACHE_KIB: i32 = 64 * 1024;
const READER_CACHE_KIB: i32 = 4 * 1024;
/// After the log had to grow, its file is cut down to this size when it restarts.
const LOG_BYTES_KEPT: i64 = 64 * 1024 * 1024;
const STATEMENTS_CACHED: usize = 32;

/// # Errors
/// When the SQLite library in this build is too old.
pub(super) fn assert_library_version() -> Result<(), LedgerError> {
    if rusqlite::version_number() >= LIBRARY_VERSION_MIN {
        return Ok(());
    }
    let version = rusqlite::version();
    Err(LedgerError::new(format!(
        "SQLite {version} can corrupt a write-ahead log: build with 3.51.3 or later"
    )))
}

pub(super) fn open_writer(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    configure(&connection, WRITER_CACHE_KIB)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
    // The writer makes checkpoints itself, between commits: a caller never waits for one.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    // Always, not only while an account is erased: what an update had freed before would stay in the file.
    connection.pragma_update(None, "secure_delete", true)?;
    Ok(connection)
}

pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    configure(&connection, READER_CACHE_KIB)?;
    Ok(connection)
}

fn configure(connection: &Connection, cache_kib: i32) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    connection.pragma_update(None, "trusted_schema", false)
}
