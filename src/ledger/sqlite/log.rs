//! SQLite's write-ahead log, as the writer maintains it: its length, and what it may still hold of erased accounts.

use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use super::connection::BUSY_TIMEOUT;

/// A checkpoint is due when the log holds this many pages (48 MiB). A start reads them in a moment, and a page that
/// changes often is copied into the database once for many commits.
const CHECKPOINT_PAGES: i64 = 12_288;
/// From this length on (64 MiB) a checkpoint also restarts the log. Readers that overlap without a gap prevent a
/// restart, so new ones have to wait for a moment.
const RESTART_PAGES: i64 = 16_384;
const RESTART_WAIT: Duration = Duration::from_millis(200);

/// The state of the log.
#[derive(Debug)]
pub(super) struct Log {
    /// The length at which the log is restarted. If an outside reader prevents that, it is tried again once the log
    /// has doubled.
    restart_pages: i64,
    erased_content: ErasedContent,
}

impl Log {
    pub(super) fn new() -> Self {
        Self {
            restart_pages: RESTART_PAGES,
            // The previous server may have been killed before it could truncate the log.
            erased_content: ErasedContent::Present,
        }
    }

    /// Remembers that an account was erased.
    pub(super) fn mark_erasure(&mut self) {
        self.erased_content = ErasedContent::Present;
    }

    /// Moves the log into the database if it is long.
    pub(super) fn checkpoint(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let pages = checkpoint_in(connection, "NOOP")?;
        if pages < CHECKPOINT_PAGES {
            return Ok(());
        }
        if pages < self.restart_pages {
            return checkpoint_in(connection, "PASSIVE").map(drop);
        }
        connection.busy_timeout(RESTART_WAIT)?;
        let restarted = checkpoint_in(connection, "RESTART");
        connection.busy_timeout(BUSY_TIMEOUT)?;
        self.restart_pages = match restarted {
            Ok(_) if checkpoint_in(connection, "NOOP")? < pages => RESTART_PAGES,
            _ => 2 * pages,
        };
        restarted.map(drop)
    }

    /// Removes erased content from the log, if an attempt is due at this number of commits.
    pub(super) fn remove_erased(
        &mut self,
        connection: &Connection,
        commits: i64,
    ) -> rusqlite::Result<()> {
        if self.erased_content.is_due(commits) {
            let is_removed = truncate(connection)?;
            self.erased_content.tried(is_removed, commits);
        }
        Ok(())
    }
}

/// Restarts the log as an empty file. Returns false if a reader prevented it.
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

/// Makes a checkpoint, and returns how many pages the log holds.
fn checkpoint_in(connection: &Connection, mode: &str) -> rusqlite::Result<i64> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_row((), |row| row.get(1))
}

/// Whether the log may hold older pages with erased content. Truncating the log removes them. An outside reader,
/// such as a backup, can prevent that for a while.
#[derive(Debug, Clone, Copy)]
enum ErasedContent {
    /// It holds none.
    None,
    /// It may hold some.
    Present,
    /// It may hold some, and could not be truncated. The next attempt is at the commit `until`; after that the
    /// pause doubles.
    Postponed { until: i64, pause: i64 },
}

impl ErasedContent {
    /// The longest pause between attempts, in commits. Each attempt may delay the next commit for a moment.
    const PAUSE_MAX: i64 = 1_024;

    fn is_due(self, commits: i64) -> bool {
        match self {
            Self::None => false,
            Self::Present => true,
            Self::Postponed { until, .. } => commits >= until,
        }
    }

    fn tried(&mut self, is_removed: bool, commits: i64) {
        if is_removed {
            *self = Self::None;
            return;
        }
        let pause = match *self {
            Self::Postponed { pause, .. } => (2 * pause).min(Self::PAUSE_MAX),
            Self::None | Self::Present => {
                tracing::warn!("an outside reader keeps erased content in the log for now");
                1
            }
        };
        let until = commits + pause;
        *self = Self::Postponed { until, pause };
    }
}
