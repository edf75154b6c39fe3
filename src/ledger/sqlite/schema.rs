//! The tables of the database file, and the migration from earlier versions.

use std::ops::RangeInclusive;

use rusqlite::Connection;

use crate::ledger::LedgerError;

/// Identifies the program that owns the file: `tcst` in ASCII.
const APPLICATION_ID: i32 = 0x7463_7374;
const VERSION: i32 = 5;

const TABLES: &str = "
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
/// Entries are numbered in the order of arrival. Two tables serve as indexes: one by [`place`](super::place),
/// one by key. They lack the entries of the [`backlog`](super::backlog), which are in the rows after
/// `history.indexed`. A table whose key is one integer has only integers in its inner pages; one with a longer key
/// has whole rows.
const ENTRY_TABLES: &str = "
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
/// The tokens that are revoked; `issued_before` is NULL where it is a single one.
const REVOCATION_TABLE: &str = "
    CREATE TABLE revocation (
        key BLOB PRIMARY KEY, issued_before INTEGER, expires_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
";
/// The last version without revocations.
const VERSION_UNREVOCABLE: i32 = 4;
/// In these versions entries were sorted by account and offset, with an index of their keys.
const VERSIONS_SORTED: RangeInclusive<i32> = 2..=3;
const RENAME_SORTED: &str = "
    DROP TRIGGER entry_is_never_updated;
    DROP TRIGGER entry_is_never_deleted;
    DROP INDEX entry_key;
    DROP INDEX entry_reversed;
    ALTER TABLE entry RENAME TO sorted;
    ALTER TABLE account ADD COLUMN written INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE history ADD COLUMN indexed INTEGER NOT NULL DEFAULT 0;
";
const COPY_SORTED: &str = "
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

/// Creates the tables in an empty file, checks them in another, and migrates those of earlier versions.
///
/// # Errors
/// When the file belongs to another program or to a newer version, or cannot be read.
pub(super) fn create_or_check_tables(connection: &Connection) -> Result<(), LedgerError> {
    let application: i32 = connection.pragma_query_value(None, "application_id", |r| r.get(0))?;
    let version: i32 = connection.pragma_query_value(None, "user_version", |r| r.get(0))?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", (), |r| r.get(0))?;
    if tables == 0 {
        create_tables(connection)?;
    } else if application != APPLICATION_ID {
        let message = "the file is a database of another program: name another file";
        return Err(LedgerError::new(message));
    } else if VERSIONS_SORTED.contains(&version) {
        migrate_sorted(connection)?;
    } else if version == VERSION_UNREVOCABLE {
        add_revocations(connection)?;
    } else if version != VERSION {
        let message = format!("its schema version {version} is not {VERSION}");
        return Err(LedgerError::new(message));
    }
    Ok(())
}

fn create_tables(connection: &Connection) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.execute_batch(ENTRY_TABLES)?;
    transaction.execute_batch(REVOCATION_TABLE)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

fn migrate_sorted(connection: &Connection) -> rusqlite::Result<()> {
    tracing::info!(
        "the ledger is of an earlier version: its entries are being rearranged, which takes a while if there are millions"
    );
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(RENAME_SORTED)?;
    transaction.execute_batch(ENTRY_TABLES)?;
    transaction.execute_batch(COPY_SORTED)?;
    transaction.execute_batch(REVOCATION_TABLE)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

fn add_revocations(connection: &Connection) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(REVOCATION_TABLE)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}
