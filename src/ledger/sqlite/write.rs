use std::{num::NonZeroUsize, time::Duration};

use jiff::Timestamp;
use lru::LruCache;
use rusqlite::{Connection, ErrorCode, OptionalExtension};

use super::{
    BUSY_TIMEOUT,
    marker::Marker,
    read::{find_account, sql_integer, stored_entry},
};
use crate::{
    domain::{Account, AccountState, Epoch, EventKey, Stamp},
    ledger::{
        Commit, CommitError, HappenedEntry, LedgerError, LedgerWriter, NewEntry, RecordedEvent,
        Unavailable,
    },
};

/// How many account numbers are kept at hand: about 10 MB.
const NUMBERS_CACHED: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");
/// A checkpoint is due when the log holds this many pages (16 MiB): the log stays small, and each
/// page that changes often is copied once for many commits.
const CHECKPOINT_PAGES: i64 = 4_096;
/// From here on (64 MiB) readers that are always inside keep the log from starting anew: new ones wait
/// for a moment until it has.
const RESTART_PAGES: i64 = 16_384;
const RESTART_WAIT: Duration = Duration::from_millis(200);

pub(super) struct SqliteWriter {
    connection: Connection,
    marker: Marker,
    epoch: Epoch,
    commits: i64,
    numbers: LruCache<Account, i64>,
    checkpoint_is_due: bool,
    has_failed: bool,
    /// A restart that a reader from outside prevented is tried again when the log has doubled.
    restart_pages: i64,
}

impl SqliteWriter {
    pub(super) fn new(
        connection: Connection,
        marker: Marker,
        epoch: Epoch,
    ) -> Result<Self, LedgerError> {
        let commits = connection.query_row("SELECT commits FROM history", (), |row| row.get(0))?;
        Ok(Self {
            connection,
            marker,
            epoch,
            commits,
            numbers: LruCache::new(NUMBERS_CACHED),
            checkpoint_is_due: true,
            has_failed: false,
            restart_pages: RESTART_PAGES,
        })
    }

    fn number(&mut self, account: &Account) -> rusqlite::Result<Option<i64>> {
        if let Some(number) = self.numbers.get(account) {
            return Ok(Some(*number));
        }
        let number = self
            .connection
            .prepare_cached("SELECT number FROM account WHERE name = ?1")?
            .query_row([account.as_str()], |row| row.get(0))
            .optional()?;
        if let Some(number) = number {
            self.numbers.put(account.clone(), number);
        }
        Ok(number)
    }

    fn write(&mut self, commit: &Commit<'_>) -> Result<(), LedgerFailure> {
        for (account, state) in commit.states {
            self.write_state(account, state)?;
        }
        for new in commit.entries {
            let number = *self.numbers.peek(&new.account).ok_or(LedgerFailure::Bug)?;
            self.write_entry(number, new)?;
        }
        let counted = self
            .connection
            .prepare_cached(
                "UPDATE history SET commits = commits + 1, recorded_until = ?1 WHERE commits = ?2",
            )?
            .execute((commit.recorded_at.as_millisecond(), self.commits))?;
        match counted {
            1 => Ok(()),
            _ => Err(LedgerFailure::Foreign),
        }
    }

    fn write_state(
        &mut self,
        account: &Account,
        state: &AccountState,
    ) -> Result<(), LedgerFailure> {
        let state = serde_json::to_string(state).map_err(|_| LedgerFailure::Bug)?;
        if let Some(number) = self.number(account)? {
            let sql = "UPDATE account SET state = ?1 WHERE number = ?2";
            let mut statement = self.connection.prepare_cached(sql)?;
            statement.execute((state, number))?;
            return Ok(());
        }
        let sql = "INSERT INTO account (name, state) VALUES (?1, ?2)";
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.execute((account.as_str(), state))?;
        self.numbers
            .put(account.clone(), self.connection.last_insert_rowid());
        Ok(())
    }

    fn write_entry(&self, number: i64, new: &NewEntry) -> Result<(), LedgerFailure> {
        let happened = i64::try_from(new.happened.as_nanosecond()).unwrap_or(i64::MIN);
        self.connection
            .prepare_cached(
                "INSERT INTO entry (account, offset, source, id, fingerprint, day, revision,
                                    happened, count, reverses, json)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?
            .execute((
                number,
                sql_integer(new.entry.offset),
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
        Ok(())
    }

    /// All reading of one batch is one transaction: its locks are taken once, not for each event.
    fn begin_reading(&self) -> rusqlite::Result<()> {
        if self.connection.is_autocommit() {
            self.execute("BEGIN")?;
        }
        Ok(())
    }

    fn end_reading(&self) -> rusqlite::Result<()> {
        if !self.connection.is_autocommit() {
            self.execute("COMMIT")?;
        }
        Ok(())
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute(()).map(drop)
    }

    fn checkpoint(&mut self) -> rusqlite::Result<()> {
        let held = self.checkpoint_in("NOOP")?;
        if held < CHECKPOINT_PAGES {
            return Ok(());
        }
        if held < self.restart_pages {
            return self.checkpoint_in("PASSIVE").map(drop);
        }
        self.connection.busy_timeout(RESTART_WAIT)?;
        let restarted = self.checkpoint_in("RESTART");
        self.connection.busy_timeout(BUSY_TIMEOUT)?;
        self.restart_pages = match restarted {
            Ok(_) if self.checkpoint_in("NOOP")? < held => RESTART_PAGES,
            _ => 2 * held,
        };
        restarted.map(drop)
    }

    /// A checkpoint; tells how many pages the log holds.
    fn checkpoint_in(&self, mode: &str) -> rusqlite::Result<i64> {
        let sql = format!("PRAGMA wal_checkpoint({mode})");
        let mut statement = self.connection.prepare_cached(&sql)?;
        statement.query_row((), |row| row.get(1))
    }

    /// After a failure: rolled back where nothing can have reached the disk as committed.
    fn roll_back(&mut self, failure: &LedgerFailure, at_commit: bool) -> CommitError {
        // Numbers handed out inside the transaction are gone with it.
        self.numbers.clear();
        let rolled_back =
            self.connection.is_autocommit() || self.connection.execute("ROLLBACK", ()).is_ok();
        if !rolled_back || failure.is_fatal() || (at_commit && !failure.is_surely_undone()) {
            self.has_failed = true;
            return CommitError::Unknown(failure.to_string());
        }
        CommitError::RolledBack(failure.unavailable())
    }
}

impl LedgerWriter for SqliteWriter {
    fn state(&mut self, account: &Account) -> Result<AccountState, LedgerError> {
        self.begin_reading()?;
        let found = find_account(&self.connection, account)?;
        Ok(found.map_or_else(AccountState::default, |(number, state)| {
            self.numbers.put(account.clone(), number);
            state
        }))
    }

    fn recorded(
        &mut self,
        account: &Account,
        key: &EventKey,
    ) -> Result<Option<RecordedEvent>, LedgerError> {
        self.begin_reading()?;
        let Some(number) = self.number(account)? else {
            return Ok(None);
        };
        let mut statement = self.connection.prepare_cached(
            "SELECT offset, json, fingerprint, day, revision FROM entry
             WHERE account = ?1 AND source = ?2 AND id = ?3",
        )?;
        let mut rows = statement.query((number, &key.source, &key.id))?;
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

    fn is_reversed(&mut self, account: &Account, offset: u64) -> Result<bool, LedgerError> {
        self.begin_reading()?;
        let Some(number) = self.number(account)? else {
            return Ok(false);
        };
        let mut statement = self
            .connection
            .prepare_cached("SELECT 1 FROM entry WHERE account = ?1 AND reverses = ?2")?;
        Ok(statement.exists((number, sql_integer(offset)))?)
    }

    fn happened_since(
        &mut self,
        account: &Account,
        since: Timestamp,
    ) -> Result<Vec<HappenedEntry>, LedgerError> {
        self.begin_reading()?;
        let Some(number) = self.number(account)? else {
            return Ok(Vec::new());
        };
        let since = i64::try_from(since.as_nanosecond()).unwrap_or(i64::MIN);
        let mut statement = self.connection.prepare_cached(
            "SELECT offset, json, count, happened FROM entry
             WHERE account = ?1 AND happened >= ?2",
        )?;
        let mut rows = statement.query((number, since))?;
        let mut entries = Vec::new();
        while let Some(row) = rows.next()? {
            let happened = Timestamp::from_nanosecond(row.get::<_, i64>(3)?.into());
            entries.push(HappenedEntry {
                entry: stored_entry(row.get(0)?, row.get(1)?)?,
                count: row.get(2)?,
                happened: happened.map_err(|error| LedgerError::new(error.to_string()))?,
            });
        }
        Ok(entries)
    }

    fn commit(&mut self, commit: &Commit<'_>) -> Result<(), CommitError> {
        // Not by turning the reading into writing: that would not wait for another process. Whether
        // one wrote in between, the number of commits tells.
        let ended = self.end_reading();
        let begun = ended.and_then(|()| self.execute("BEGIN IMMEDIATE"));
        let written = begun
            .map_err(LedgerFailure::from)
            .and_then(|()| self.write(commit));
        if let Err(failure) = written {
            return Err(self.roll_back(&failure, false));
        }
        if let Err(error) = self.execute("COMMIT") {
            return Err(self.roll_back(&error.into(), true));
        }
        self.commits += 1;
        self.checkpoint_is_due = true;
        // Only a restored backup would notice a marker that lags; the entries are durable.
        if let Err(error) = self.marker.write(self.epoch, self.commits) {
            tracing::warn!(%error, "the marker beside the ledger could not be written");
        }
        Ok(())
    }

    /// Moves the log into the database once it is long. An I/O error in there means that pages which
    /// were said to be durable may not be.
    fn tidy(&mut self) -> Result<(), CommitError> {
        let ended = self.end_reading();
        if ended.is_ok() && !std::mem::take(&mut self.checkpoint_is_due) {
            return Ok(());
        }
        let tidied = ended.and_then(|()| self.checkpoint());
        match tidied.map_err(LedgerFailure::from) {
            Ok(()) => Ok(()),
            Err(failure) if failure.is_surely_undone() => {
                tracing::warn!(error = %failure, "no checkpoint of the ledger; the log grows until there is one");
                Ok(())
            }
            Err(failure) => {
                self.has_failed = true;
                Err(CommitError::Unknown(format!("a checkpoint: {failure}")))
            }
        }
    }
}

impl Drop for SqliteWriter {
    /// Leaves a database file that is whole without its log.
    fn drop(&mut self) {
        if self.has_failed || self.connection.busy_timeout(RESTART_WAIT).is_err() {
            return;
        }
        if let Err(error) = self.checkpoint_in("TRUNCATE") {
            tracing::warn!(%error, "no last checkpoint of the ledger; the next start reads the log");
        }
    }
}

/// Why a transaction failed.
#[derive(Debug, thiserror::Error)]
enum LedgerFailure {
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("the commit names an account without a state")]
    Bug,
    #[error("another process has written into the ledger: restart")]
    Foreign,
}

impl LedgerFailure {
    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Sqlite(error) => error.sqlite_error_code(),
            Self::Bug | Self::Foreign => None,
        }
    }

    /// The file is not what this server left: it must be looked at before anything is recorded.
    fn is_fatal(&self) -> bool {
        let code = self.code();
        matches!(self, Self::Foreign)
            || matches!(
                code,
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
            )
    }

    /// At COMMIT only these say that the transaction never reached the log.
    fn is_surely_undone(&self) -> bool {
        matches!(
            self.code(),
            Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
        )
    }

    fn unavailable(&self) -> Unavailable {
        match self.code() {
            Some(ErrorCode::DiskFull) => Unavailable::DiskFull,
            _ => Unavailable::Busy(self.to_string()),
        }
    }
}
