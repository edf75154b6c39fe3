//! SQLite's write-ahead log, as the writer looks after it: how long it gets, and what it still holds.

use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use super::{BUSY_TIMEOUT, erase::Traces};

/// A checkpoint is due when the log holds this many pages (48 MiB): a start reads them in a moment, and
/// each page that changes often is copied once for many commits.
const CHECKPOINT_PAGES: i64 = 12_288;
/// From here on (64 MiB) readers that are always inside keep the log from starting anew: new ones wait
/// for a moment until it has.
const RESTART_PAGES: i64 = 16_384;
const RESTART_WAIT: Duration = Duration::from_millis(200);

/// What is known of the log.
#[derive(Debug)]
pub(super) struct Log {
    /// A restart that a reader from outside prevented is tried again when the log has doubled.
    restart_pages: i64,
    /// What it may still hold of erased accounts.
    traces: Traces,
}

impl Log {
    pub(super) fn new() -> Self {
        Self {
            restart_pages: RESTART_PAGES,
            // The last server may have been killed before it could remove them.
            traces: Traces::Found,
        }
    }

    /// An account was erased.
    pub(super) fn holds_traces(&mut self) {
        self.traces = Traces::Found;
    }

    /// Moves the log into the database, if it is long.
    pub(super) fn checkpoint(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let held = checkpoint_in(connection, "NOOP")?;
        if held < CHECKPOINT_PAGES {
            return Ok(());
        }
        if held < self.restart_pages {
            return checkpoint_in(connection, "PASSIVE").map(drop);
        }
        connection.busy_timeout(RESTART_WAIT)?;
        let restarted = checkpoint_in(connection, "RESTART");
        connection.busy_timeout(BUSY_TIMEOUT)?;
        self.restart_pages = match restarted {
            Ok(_) if checkpoint_in(connection, "NOOP")? < held => RESTART_PAGES,
            _ => 2 * held,
        };
        restarted.map(drop)
    }

    /// Removes what the log holds of erased accounts, when it is time to try.
    pub(super) fn remove_traces(
        &mut self,
        connection: &Connection,
        commits: i64,
    ) -> rusqlite::Result<()> {
        if self.traces.is_due(commits) {
            let is_removed = truncate(connection)?;
            self.traces.tried(is_removed, commits);
        }
        Ok(())
    }
}

/// Starts the log anew as an empty file. False: a reader is inside, and it was not.
pub(super) fn truncate(connection: &Connection) -> rusqlite::Result<bool> {
    connection.busy_timeout(RESTART_WAIT)?;
    let truncated = connection
        .prepare_cached("PRAGMA wal_checkpoint(TRUNCATE)")
        .and_then(|mut statement| statement.query_row((), |row| row.get::<_, i64>(0)));
    connection.busy_timeout(BUSY_TIMEOUT)?;
    match truncated {
        Ok(busy) => Ok(busy == 0),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(false),
        Err(error) => Err(error),
    }
}

/// A checkpoint; tells how many pages the log holds.
fn checkpoint_in(connection: &Connection, mode: &str) -> rusqlite::Result<i64> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_row((), |row| row.get(1))
}
