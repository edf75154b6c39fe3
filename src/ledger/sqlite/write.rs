use jiff::{Timestamp, civil::Date};
use rusqlite::Connection;

use super::{
    account::find_account,
    account_rows::{AccountRow, AccountRows},
    backlog::Backlog,
    days::{delete_days, find_day, write_day},
    entries::{find_recorded, write_entries},
    erase::{erase, rewrite},
    failure::LedgerFailure,
    files::Marker,
    history::count_commit,
    index::{find_key, write_index, write_indexed},
    log::{self, Log},
    place::sql_integer,
    read::read_happened,
    recent::Recent,
    revocations::{RemovalTimer, has_expired, remove_expired, write_revocation},
};
use crate::{
    domain::{Account, AccountState, DayTotals, Epoch, EventKey, StoredRevocation},
    ledger::{
        ChangedState, Commit, CommitError, HappenedEntry, LedgerError, LedgerWriter, NewEntry,
        RecordedEvent,
    },
};

/// When at least this many entries of an account are indexed early, the account's state is written as well.
const ENTRIES_WITH_STATE: usize = 8;

/// The one writer of the database file.
pub(super) struct SqliteWriter {
    connection: Connection,
    marker: Marker,
    epoch: Epoch,
    commits: i64,
    backlog: Backlog,
    recent: Recent,
    rows: AccountRows,
    checkpoint_is_due: bool,
    /// A commit's or a checkpoint's outcome is unknown.
    has_failed: bool,
    log: Log,
    revocation_removal: RemovalTimer,
}

/// What a transaction did with its entries.
struct WrittenCommit<'a> {
    /// The accounts whose entries are now all in the indexes.
    indexed: Vec<&'a Account>,
    /// The new entries that are not in the indexes, with the numbers of their rows.
    unindexed: Vec<(&'a ChangedState<'a>, Vec<(i64, &'a NewEntry)>)>,
    /// The number of the last row ever written.
    last: i64,
}

impl SqliteWriter {
    pub(super) fn new(
        connection: Connection,
        marker: Marker,
        epoch: Epoch,
        backlog: Backlog,
        recent: Recent,
    ) -> Result<Self, LedgerError> {
        let commits = connection.query_row("SELECT commits FROM history", (), |row| row.get(0))?;
        Ok(Self {
            connection,
            marker,
            epoch,
            commits,
            backlog,
            recent,
            rows: AccountRows::new(),
            checkpoint_is_due: true,
            has_failed: false,
            log: Log::new(),
            revocation_removal: RemovalTimer::default(),
        })
    }

    fn write<'a>(&mut self, commit: &Commit<'a>) -> Result<WrittenCommit<'a>, LedgerFailure> {
        let mut written = WrittenCommit {
            indexed: Vec::new(),
            unindexed: Vec::new(),
            last: self.backlog.last(),
        };
        let mut entries = commit.entries;
        for changed in commit.states {
            let is_of_it = |new: &&NewEntry| new.account == *changed.account;
            let (new, others) = entries.split_at(entries.iter().take_while(is_of_it).count());
            entries = others;
            let is_derivable = self.is_derivable(changed)?;
            if !is_derivable {
                // Before the entries: their places contain the number that a new account gets here.
                self.rows.write_state(&self.connection, changed)?;
            }
            let new = write_entries(&self.connection, &self.rows, written.last, new)?;
            written.last = new.last().map_or(written.last, |(number, _)| *number);
            if is_derivable {
                written.unindexed.push((changed, new));
            } else {
                self.index(changed.account, &new)?;
                written.indexed.push(changed.account);
            }
        }
        if !entries.is_empty() {
            return Err(LedgerFailure::Bug);
        }
        for account in commit.recounted {
            delete_days(&self.connection, self.rows.cached_number(account)?)?;
        }
        for (account, day) in commit.days {
            write_day(&self.connection, self.rows.cached_number(account)?, day)?;
        }
        count_commit(&self.connection, self.commits, commit.recorded_at)?;
        Ok(written)
    }

    /// Shows readers what was written, once it is durable.
    fn publish(&mut self, written: &WrittenCommit<'_>) {
        let mut recent = self.recent.change();
        for account in &written.indexed {
            recent.remove(account);
        }
        for (changed, new) in &written.unindexed {
            let entries = new.iter().map(|(number, new)| (*number, (*new).clone()));
            recent.add(changed.account, changed.state.generation, entries);
        }
    }

    /// Whether readers can derive the new state from the stored one and its entries. Then neither the state nor
    /// the indexes need to be written.
    fn is_derivable(&mut self, changed: &ChangedState<'_>) -> Result<bool, LedgerFailure> {
        let row = self.rows.find(&self.connection, changed.account)?;
        Ok(changed.adds_up && row.is_some_and(|row| row.is_near(changed.state.offset)))
    }

    /// Writes an account's entries to the indexes: the recent ones, then these new ones.
    fn index(&mut self, account: &Account, new: &[(i64, &NewEntry)]) -> Result<(), LedgerFailure> {
        let number = self.number(account)?.ok_or(LedgerFailure::Bug)?;
        let recent = self.recent.of(account);
        let recent = recent
            .entries()
            .iter()
            .map(|entry| (entry.number, &*entry.new));
        write_index(&self.connection, number, recent.chain(new.iter().copied()))
    }

    fn number(&mut self, account: &Account) -> rusqlite::Result<Option<i64>> {
        let row = self.rows.find(&self.connection, account)?;
        Ok(row.map(|row| row.number))
    }

    /// Writes an account's entries to the indexes if the oldest of them is in a row up to `last`. That is
    /// earlier, and with fewer entries, than is best. If there are nearly enough, the state is written too:
    /// otherwise it would soon be written for only a few more.
    fn index_up_to(&mut self, last: i64, account: &Account) -> Result<(), LedgerFailure> {
        let unindexed = self.recent.of(account);
        let count = unindexed.entries().len();
        let oldest = unindexed.entries().first();
        if oldest.is_none_or(|oldest| oldest.number > last) {
            return Ok(());
        }
        self.index(account, &[])?;
        if count < ENTRIES_WITH_STATE {
            return Ok(());
        }
        let found = find_account(&self.connection, account, unindexed)?;
        let changed = ChangedState {
            account,
            state: &found.ok_or(LedgerFailure::Bug)?.state,
            adds_up: true,
        };
        self.rows.write_state(&self.connection, &changed)
    }

    /// Writes the oldest entries of the backlog to the indexes until the backlog is short enough.
    fn shorten_backlog(&mut self) -> Result<(), CommitError> {
        while let Some(oldest) = self.backlog.excess() {
            self.transact(|writer| {
                for account in &oldest.accounts {
                    writer.index_up_to(oldest.last, account)?;
                }
                write_indexed(&writer.connection, oldest.last)?;
                Ok(())
            })?;
            self.checkpoint_is_due = true;
            self.backlog.remove(&oldest);
            let mut recent = self.recent.change();
            for account in &oldest.accounts {
                recent.remove_up_to(oldest.last, account);
            }
        }
        Ok(())
    }

    fn remove_expired_revocations(&mut self) -> Result<(), CommitError> {
        // By the machine's clock, as tokens expire.
        let now = Timestamp::now();
        if !self.revocation_removal.is_due() || !has_expired(&self.connection, now).unwrap_or(true)
        {
            return Ok(());
        }
        self.transact(|writer| Ok(remove_expired(&writer.connection, now)?))
    }

    /// All reads of one batch are one transaction, so that locks are taken once and not for each event.
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

    /// Runs `write` in a transaction of its own.
    fn transact<T>(
        &mut self,
        write: impl FnOnce(&mut Self) -> Result<T, LedgerFailure>,
    ) -> Result<T, CommitError> {
        // The read transaction is not upgraded: an upgrade does not wait for another process. The number of
        // commits shows whether another process has written in between.
        let ended = self.end_reading();
        let begun = ended.and_then(|()| self.execute("BEGIN IMMEDIATE"));
        let written = begun
            .map_err(LedgerFailure::from)
            .and_then(|()| write(self));
        let written = written.map_err(|failure| self.roll_back(&failure, false))?;
        match self.execute("COMMIT") {
            Ok(()) => Ok(written),
            Err(error) => Err(self.roll_back(&error.into(), true)),
        }
    }

    /// Updates what depends on the number of commits, after a counted commit.
    fn committed(&mut self) {
        self.commits += 1;
        self.checkpoint_is_due = true;
        // Not an error: the entries are durable. A marker that lags behind only detects fewer restored backups.
        if let Err(error) = self.marker.write(self.epoch, self.commits) {
            tracing::warn!(%error, "the marker beside the ledger could not be written");
        }
    }

    /// Logs a failed checkpoint. Unless it changed nothing for certain, earlier commits may be lost.
    fn checkpoint_outcome(&mut self, result: rusqlite::Result<()>) -> Result<(), CommitError> {
        match result.map_err(LedgerFailure::from) {
            Ok(()) => Ok(()),
            Err(failure) if failure.is_certainly_undone() => {
                tracing::warn!(error = %failure, "no checkpoint of the ledger; the log grows until there is one");
                Ok(())
            }
            Err(failure) => {
                self.has_failed = true;
                Err(CommitError::Unknown(format!("a checkpoint: {failure}")))
            }
        }
    }

    /// Rolls back after a failure. The outcome is unknown if the commit may have reached the disk.
    fn roll_back(&mut self, failure: &LedgerFailure, at_commit: bool) -> CommitError {
        // Rows that were written in this transaction are undone.
        self.rows.clear();
        let rolled_back =
            self.connection.is_autocommit() || self.connection.execute("ROLLBACK", ()).is_ok();
        if !rolled_back || failure.is_fatal() || (at_commit && !failure.is_certainly_undone()) {
            self.has_failed = true;
            return CommitError::Unknown(failure.to_string());
        }
        CommitError::RolledBack(failure.unavailable())
    }
}

impl LedgerWriter for SqliteWriter {
    fn state(&mut self, account: &Account) -> Result<Option<AccountState>, LedgerError> {
        self.begin_reading()?;
        let found = find_account(&self.connection, account, self.recent.of(account))?;
        Ok(found.map(|found| {
            let row = AccountRow {
                number: found.number,
                written: found.written,
            };
            self.rows.put(account, row);
            found.state
        }))
    }

    fn recorded(
        &mut self,
        account: &Account,
        key: &EventKey,
    ) -> Result<Option<RecordedEvent>, LedgerError> {
        if let Some(new) = self.recent.find(account, key) {
            return Ok(Some(RecordedEvent::from(&*new)));
        }
        self.begin_reading()?;
        let Some(number) = self.number(account)? else {
            return Ok(None);
        };
        let entry = find_key(&self.connection, number, key)?;
        let Some(entry) = entry else {
            return Ok(None);
        };
        find_recorded(&self.connection, entry)
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

    fn happened_after(
        &mut self,
        account: &Account,
        offset: u64,
        count: usize,
    ) -> Result<Vec<HappenedEntry>, LedgerError> {
        self.begin_reading()?;
        let unindexed = self.recent.of(account);
        read_happened(&self.connection, account, unindexed, offset, count)
    }

    fn past_day(
        &mut self,
        account: &Account,
        date: Date,
        meter: &str,
        unit: &str,
    ) -> Result<Option<DayTotals>, LedgerError> {
        self.begin_reading()?;
        match self.number(account)? {
            Some(number) => find_day(&self.connection, number, date, meter, unit),
            None => Ok(None),
        }
    }

    fn commit(&mut self, commit: &Commit<'_>) -> Result<(), CommitError> {
        let written = self.transact(|writer| writer.write(commit))?;
        self.committed();
        self.publish(&written);
        self.backlog.add(written.last, commit.entries);
        Ok(())
    }

    fn erase(&mut self, account: &Account, at: Timestamp) -> Result<(), CommitError> {
        let Some(number) = self.number(account).map_err(|error| {
            let failure = LedgerFailure::from(error);
            CommitError::RolledBack(failure.unavailable())
        })?
        else {
            return Ok(());
        };
        self.transact(|writer| {
            writer.index(account, &[])?;
            erase(&writer.connection, number)?;
            count_commit(&writer.connection, writer.commits, at)
        })?;
        self.committed();
        self.recent.change().remove(account);
        self.rows.remove(account);
        self.log.mark_erasure();
        // Before the caller is answered: then nothing of the account is in the files.
        let removed = rewrite(&self.connection)
            .and_then(|()| self.log.remove_erased(&self.connection, self.commits));
        self.checkpoint_outcome(removed)
    }

    fn revoke(&mut self, revocation: &StoredRevocation, at: Timestamp) -> Result<(), CommitError> {
        self.transact(|writer| {
            write_revocation(&writer.connection, revocation)?;
            count_commit(&writer.connection, writer.commits, at)
        })?;
        self.committed();
        Ok(())
    }

    /// Shortens the backlog, removes what has expired, and moves the log into the database once it is long. After an
    /// I/O error there, pages that were reported as durable may be lost.
    fn maintain(&mut self) -> Result<(), CommitError> {
        let ended = self.end_reading();
        if ended.is_ok() && !std::mem::take(&mut self.checkpoint_is_due) {
            return Ok(());
        }
        match self.shorten_backlog() {
            Ok(()) => {}
            Err(CommitError::RolledBack(reason)) => {
                tracing::warn!(
                    ?reason,
                    "the ledger's indexes lag behind: until they catch up, memory use and the time of a start grow"
                );
            }
            Err(unknown) => return Err(unknown),
        }
        match self.remove_expired_revocations() {
            Ok(()) => {}
            Err(CommitError::RolledBack(reason)) => {
                tracing::warn!(?reason, "expired revocations stay for another minute");
            }
            Err(unknown) => return Err(unknown),
        }
        let checkpointed = ended
            .and_then(|()| self.log.checkpoint(&self.connection))
            .and_then(|()| self.log.remove_erased(&self.connection, self.commits));
        self.checkpoint_outcome(checkpointed)
    }
}

impl Drop for SqliteWriter {
    /// Leaves a database file that is complete without its log.
    fn drop(&mut self) {
        if self.has_failed {
            return;
        }
        if let Err(error) = log::truncate(&self.connection) {
            tracing::warn!(%error, "no last checkpoint of the ledger; the next start reads the log");
        }
    }
}
