//! The default ledger: one SQLite file in WAL mode, one writer that owns checkpoints.

mod backlog;
mod days;
mod erase;
mod failure;
mod log;
mod marker;
mod place;
mod read;
mod recent;
mod write;

use std::{
    path::{Path, PathBuf},
    sync::Mutex,
};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use self::{
    backlog::Backlog,
    marker::{Marker, Sealed},
    read::SqliteReader,
    recent::Recent,
    write::SqliteWriter,
};
use super::{Ledger, LedgerError, LedgerReader, LedgerWriter};
use crate::domain::Epoch;

/// Older libraries can corrupt a WAL that two connections use (<https://sqlite.org/wal.html>).
const LIBRARY_VERSION_MIN: i32 = 3_051_003;
/// Which program's file this is: `tcst` in ASCII.
const APPLICATION_ID: i32 = 0x7463_7374;
const SCHEMA_VERSION: i32 = 4;
/// How many entries an account's stored state, and the indexes, may lack: whoever reads them looks at fewer
/// entries than these, and the writer writes them once for so many.
const ENTRIES_BEHIND_MAX: u64 = 16;
/// How long a statement waits for another process, such as a backup, before it is refused.
const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);
/// The page caches of the writer's connection and of a reader's, in KiB; behind both is the system's. The
/// writer's holds the pages of indexes and states that change often.
const WRITER_CACHE_KIB: i32 = 64 * 1024;
const READER_CACHE_KIB: i32 = 4 * 1024;
/// The log's file is cut down to this when it starts anew after it had to grow.
const LOG_BYTES_KEPT: i64 = 64 * 1024 * 1024;
const STATEMENTS_CACHED: usize = 32;

const SCHEMA: &str = "
    CREATE TABLE history (
        epoch INTEGER NOT NULL, seal INTEGER NOT NULL,
        commits INTEGER NOT NULL, recorded_until INTEGER NOT NULL, indexed INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE account (
        number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, state TEXT NOT NULL,
        written INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE day (
        account INTEGER NOT NULL REFERENCES account, date INTEGER NOT NULL,
        meter TEXT NOT NULL, unit TEXT NOT NULL, sums TEXT NOT NULL,
        PRIMARY KEY (account, date, meter, unit)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE erasure (account INTEGER PRIMARY KEY) STRICT;
    CREATE TRIGGER account_is_never_deleted BEFORE DELETE ON account
        WHEN OLD.number NOT IN (SELECT account FROM erasure)
        BEGIN SELECT RAISE(ABORT, 'accounts are only erased as a whole'); END;
";
/// Entries are numbered as they come. Two indexes of our own tell which is at a [`place`], and which has a key;
/// they lack what is in the [`backlog`], which is of the rows behind `history.indexed`. A table whose key is one
/// number has only numbers above its leaves; one with a longer key has whole rows there.
const SCHEMA_ENTRIES: &str = "
    CREATE TABLE entry (
        number INTEGER PRIMARY KEY, place INTEGER NOT NULL,
        account INTEGER NOT NULL AS (place >> 32), offset INTEGER NOT NULL AS (place & 0xFFFFFFFF),
        source TEXT NOT NULL, id TEXT NOT NULL, fingerprint BLOB NOT NULL,
        day INTEGER NOT NULL, revision INTEGER NOT NULL,
        happened INTEGER NOT NULL, count INTEGER NOT NULL, reverses INTEGER,
        json TEXT NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX entry_reversed ON entry (account, reverses) WHERE reverses IS NOT NULL;
    CREATE TABLE entry_place (
        place INTEGER PRIMARY KEY, entry INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE entry_key (
        account INTEGER NOT NULL REFERENCES account, source TEXT NOT NULL, id TEXT NOT NULL,
        entry INTEGER NOT NULL,
        PRIMARY KEY (account, source, id)
    ) STRICT, WITHOUT ROWID;
    CREATE TRIGGER entry_is_never_updated BEFORE UPDATE ON entry
        BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
    CREATE TRIGGER entry_is_never_deleted BEFORE DELETE ON entry
        WHEN OLD.account NOT IN (SELECT account FROM erasure)
        BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
    CREATE TRIGGER place_is_never_updated BEFORE UPDATE ON entry_place
        BEGIN SELECT RAISE(ABORT, 'indexes are append-only'); END;
    CREATE TRIGGER place_is_never_deleted BEFORE DELETE ON entry_place
        WHEN OLD.place >> 32 NOT IN (SELECT account FROM erasure)
        BEGIN SELECT RAISE(ABORT, 'indexes are append-only'); END;
    CREATE TRIGGER key_is_never_updated BEFORE UPDATE ON entry_key
        BEGIN SELECT RAISE(ABORT, 'indexes are append-only'); END;
    CREATE TRIGGER key_is_never_deleted BEFORE DELETE ON entry_key
        WHEN OLD.account NOT IN (SELECT account FROM erasure)
        BEGIN SELECT RAISE(ABORT, 'indexes are append-only'); END;
";
/// These versions had entries sorted by account and offset, with an index of their keys.
const SCHEMA_VERSIONS_SORTED: std::ops::RangeInclusive<i32> = 2..=3;
const OUT_OF_THE_WAY: &str = "
    DROP TRIGGER entry_is_never_updated;
    DROP TRIGGER entry_is_never_deleted;
    DROP INDEX entry_key;
    DROP INDEX entry_reversed;
    ALTER TABLE entry RENAME TO sorted;
    ALTER TABLE account ADD COLUMN written INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE history ADD COLUMN indexed INTEGER NOT NULL DEFAULT 0;
";
const FROM_SORTED: &str = "
    INSERT INTO entry (place, source, id, fingerprint, day, revision, happened, count, reverses, json)
        SELECT account << 32 | offset, source, id, fingerprint, day, revision, happened, count,
               reverses, json
        FROM sorted ORDER BY account, offset;
    INSERT INTO entry_place SELECT place, number FROM entry ORDER BY place;
    INSERT INTO entry_key
        SELECT account, source, id, number FROM entry ORDER BY account, source, id;
    UPDATE account SET written = state ->> '$.offset';
    UPDATE history SET indexed = (SELECT coalesce(max(number), 0) FROM entry);
    DROP TABLE sorted;
";

/// A ledger in one SQLite file, durable across crashes and power loss (`synchronous=FULL`).
///
/// Beside the file lie a marker and a seal (`<file>-marker`, `<file>-seal`): a lock on them keeps a
/// second server away, and they tell a restored or copied file, which then gets a new epoch.
#[derive(Debug)]
pub struct Sqlite {
    path: PathBuf,
    epoch: Epoch,
    recorded_until: Timestamp,
    recent: Recent,
    writer: Mutex<Option<(Connection, Marker, Backlog)>>,
}

impl Sqlite {
    /// Opens the file, or creates it.
    ///
    /// # Errors
    /// When the file cannot be opened, is of another program or a newer version, or is used by
    /// another server.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, LedgerError> {
        assert_library_version()?;
        let path = path.as_ref();
        Self::open_file(path).map_err(|error| {
            let path = path.display();
            LedgerError::new(format!("cannot open the ledger {path}: {error}"))
        })
    }

    fn open_file(path: &Path) -> Result<Self, LedgerError> {
        let path = real_path(path)?;
        let mut marker = Marker::lock(&path)?;
        let connection = open_writer(&path)?;
        let history = open_history(&connection, &mut marker)?;
        marker.write(history.epoch, history.commits)?;
        marker.sync()?;
        let (backlog, recent) = Backlog::load(&connection)?;
        Ok(Self {
            path,
            epoch: history.epoch,
            recorded_until: history.recorded_until,
            recent,
            writer: Mutex::new(Some((connection, marker, backlog))),
        })
    }

    /// The version of the SQLite library inside, such as `3.51.3`.
    #[must_use]
    pub fn library_version() -> &'static str {
        rusqlite::version()
    }
}

impl Ledger for Sqlite {
    fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn recorded_until(&self) -> Timestamp {
        self.recorded_until
    }

    fn writer(&self) -> Result<Box<dyn LedgerWriter>, LedgerError> {
        let mut writer = self
            .writer
            .lock()
            .expect("nothing panics while it is taken");
        let (connection, marker, backlog) = writer
            .take()
            .ok_or_else(|| LedgerError::new("the ledger's one writer is in use"))?;
        let recent = self.recent.clone();
        let writer = SqliteWriter::new(connection, marker, self.epoch, backlog, recent)?;
        Ok(Box::new(writer))
    }

    fn reader(&self) -> Result<Box<dyn LedgerReader>, LedgerError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        configure(&connection, READER_CACHE_KIB)?;
        Ok(Box::new(SqliteReader::new(connection, self.recent.clone())))
    }
}

impl From<rusqlite::Error> for LedgerError {
    fn from(error: rusqlite::Error) -> Self {
        Self::new(error.to_string())
    }
}

struct History {
    epoch: Epoch,
    commits: i64,
    recorded_until: Timestamp,
}

fn assert_library_version() -> Result<(), LedgerError> {
    if rusqlite::version_number() >= LIBRARY_VERSION_MIN {
        return Ok(());
    }
    let version = rusqlite::version();
    Err(LedgerError::new(format!(
        "SQLite {version} can corrupt a write-ahead log: build with 3.51.3 or later"
    )))
}

/// The path without links: whoever opens the same database looks for the same files beside it. It is
/// absolute, so that no name (`:memory:`, `file:…`) has a meaning of its own.
fn real_path(path: &Path) -> Result<PathBuf, LedgerError> {
    let unusable = |error: std::io::Error| LedgerError::new(error.to_string());
    if let Ok(path) = path.canonicalize() {
        return Ok(path);
    }
    let path = std::path::absolute(path).map_err(unusable)?;
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(LedgerError::new("this is a folder: name a file in it"));
    };
    let folder = folder.canonicalize();
    let folder = folder.map_err(|error| LedgerError::new(format!("its folder: {error}")))?;
    Ok(folder.join(name))
}

fn open_writer(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    configure(&connection, WRITER_CACHE_KIB)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
    // Checkpoints are the writer's, between commits: never inside one that somebody waits for.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    // Not only while an account is erased: what an update frees would lie in the file until then.
    connection.pragma_update(None, "secure_delete", true)?;
    Ok(connection)
}

fn configure(connection: &Connection, cache_kib: i32) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    connection.pragma_update(None, "trusted_schema", false)
}

/// Creates the tables or reads how far they got; a file that the marker does not know gets a new
/// epoch, since clients may hold positions that it never gave.
fn open_history(connection: &Connection, marker: &mut Marker) -> Result<History, LedgerError> {
    create_or_check_tables(connection)?;
    let stored = connection
        .query_row(
            "SELECT epoch, seal, commits, recorded_until, indexed FROM history",
            (),
            |row| row.try_into(),
        )
        .optional()?;
    let new = (0_i64, 0, 0, i64::MIN, 0_i64);
    let (epoch, seal, commits, recorded_until, indexed) = stored.unwrap_or(new);
    let mut epoch = Epoch(epoch.cast_unsigned());
    if !marker.knows(epoch, commits, Sealed(seal)) {
        epoch = Epoch(getrandom::u64().map_err(|error| LedgerError::new(error.to_string()))?);
        let Sealed(seal) = marker.seal(epoch)?;
        let transaction = connection.unchecked_transaction()?;
        transaction.execute("DELETE FROM history", ())?;
        transaction.execute(
            "INSERT INTO history (epoch, seal, commits, recorded_until, indexed)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            (
                epoch.0.cast_signed(),
                seal,
                commits,
                recorded_until,
                indexed,
            ),
        )?;
        transaction.commit()?;
    }
    let recorded_until = Timestamp::from_millisecond(recorded_until).unwrap_or(Timestamp::MIN);
    Ok(History {
        epoch,
        commits,
        recorded_until,
    })
}

fn create_or_check_tables(connection: &Connection) -> Result<(), LedgerError> {
    let application: i32 = connection.pragma_query_value(None, "application_id", |r| r.get(0))?;
    let version: i32 = connection.pragma_query_value(None, "user_version", |r| r.get(0))?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", (), |r| r.get(0))?;
    if tables == 0 {
        create_tables(connection)?;
    } else if application != APPLICATION_ID {
        let message = "the file is a database of another program: name another file";
        return Err(LedgerError::new(message));
    } else if SCHEMA_VERSIONS_SORTED.contains(&version) {
        take_over_sorted(connection)?;
    } else if version != SCHEMA_VERSION {
        let message = format!("its schema version {version} is not {SCHEMA_VERSION}");
        return Err(LedgerError::new(message));
    }
    Ok(())
}

fn create_tables(connection: &Connection) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(SCHEMA)?;
    transaction.execute_batch(SCHEMA_ENTRIES)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()
}

fn take_over_sorted(connection: &Connection) -> rusqlite::Result<()> {
    tracing::info!(
        "the ledger is of an earlier version: its entries are rearranged, which takes a while where there are millions"
    );
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(OUT_OF_THE_WAY)?;
    transaction.execute_batch(SCHEMA_ENTRIES)?;
    transaction.execute_batch(FROM_SORTED)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()
}
