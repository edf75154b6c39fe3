use std::num::NonZeroUsize;

use jiff::{Timestamp, civil::Date};
use lru::LruCache;
use rusqlite::{Connection, OptionalExtension};

use super::{
    ENTRIES_BEHIND_MAX,
    backlog::Backlog,
    days::{find_day, forget_days, write_day},
    erase::{erase, rewrite},
    failure::LedgerFailure,
    log::{self, Log},
    marker::Marker,
    place::place,
    read::{find_account, read_happened, sql_integer, stored_entry},
    recent::Recent,
};
use crate::{
    domain::{Account, AccountState, DayTotals, Epoch, EventKey, Stamp},
    ledger::{
        ChangedState, Commit, CommitError, HappenedEntry, LedgerError, LedgerWriter, NewEntry,
        RecordedEvent,
    },
};

/// Of how many accounts it is kept at hand where they are: about 11 MB.
const ROWS_CACHED: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");
pub(super) struct SqliteWriter {
    connection: Connection,
    marker: Marker,
    epoch: Epoch,
    commits: i64,
    backlog: Backlog,
    recent: Recent,
    rows: LruCache<Account, Row>,
    checkpoint_is_due: bool,
    has_failed: bool,
    log: Log,
}

/// So many entries that are indexed early take their account's state along.
const ENTRIES_WITH_STATE: usize = 8;

/// What a transaction did with its entries.
struct Written<'a> {
    /// Accounts whose entries are all in the indexes.
    indexed: Vec<&'a Account>,
    /// Entries that are in none, with the numbers of their rows.
    unindexed: Vec<(&'a ChangedState<'a>, Vec<(i64, &'a NewEntry)>)>,
    /// The number of the last row that was ever written.
    last: i64,
}

/// Where an account is.
#[derive(Debug, Clone, Copy)]
struct Row {
    number: i64,
    /// The offset up to which its stored state counts its entries.
    written: u64,
}

impl Row {
    /// Whether what is stored is near enough to an offset for those who read it to look at the rest.
    fn is_near(self, offset: u64) -> bool {
        offset - self.written < ENTRIES_BEHIND_MAX
    }
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
            rows: LruCache::new(ROWS_CACHED),
            checkpoint_is_due: true,
            has_failed: false,
            log: Log::new(),
        })
    }

    fn number(&mut self, account: &Account) -> rusqlite::Result<Option<i64>> {
        Ok(self.row(account)?.map(|row| row.number))
    }

    fn row(&mut self, account: &Account) -> rusqlite::Result<Option<Row>> {
        if let Some(row) = self.rows.get(account) {
            return Ok(Some(*row));
        }
        let row = self
            .connection
            .prepare_cached("SELECT number, written FROM account WHERE name = ?1")?
            .query_row([account.as_str()], |row| {
                Ok(Row {
                    number: row.get(0)?,
                    written: row.get::<_, i64>(1)?.cast_unsigned(),
                })
            })
            .optional()?;
        if let Some(row) = row {
            self.rows.put(account.clone(), row);
        }
        Ok(row)
    }

    fn write<'a>(&mut self, commit: &Commit<'a>) -> Result<Written<'a>, LedgerFailure> {
        let mut written = Written {
            indexed: Vec::new(),
            unindexed: Vec::new(),
            last: self.backlog.last(),
        };
        let mut entries = commit.entries;
        for changed in commit.states {
            let is_of_it = |new: &&NewEntry| new.account == *changed.account;
            let (new, others) = entries.split_at(entries.iter().take_while(is_of_it).count());
            entries = others;
            let is_told = self.is_told_by_entries(changed)?;
            if !is_told {
                self.write_state(changed)?;
            }
            let new = self.write_entries(written.last, new)?;
            written.last = new.last().map_or(written.last, |(number, _)| *number);
            if is_told {
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
            forget_days(&self.connection, self.known_number(account)?)?;
        }
        for (account, day) in commit.days {
            write_day(&self.connection, self.known_number(account)?, day)?;
        }
        self.count_commit(commit.recorded_at)?;
        Ok(written)
    }

    /// What was written is durable: whoever reads may see it.
    fn show(&mut self, written: &Written<'_>) {
        let mut recent = self.recent.change();
        for account in &written.indexed {
            recent.remove(account);
        }
        for (changed, new) in &written.unindexed {
            let entries = new.iter().map(|(number, new)| (*number, (*new).clone()));
            recent.add(changed.account, changed.state.generation, entries);
        }
    }

    /// The number of an account of this commit.
    fn known_number(&self, account: &Account) -> Result<i64, LedgerFailure> {
        let row = self.rows.peek(account);
        row.map(|row| row.number).ok_or(LedgerFailure::Bug)
    }

    fn count_commit(&self, at: Timestamp) -> Result<(), LedgerFailure> {
        let counted = self
            .connection
            .prepare_cached(
                "UPDATE history SET commits = commits + 1, recorded_until = ?1 WHERE commits = ?2",
            )?
            .execute((at.as_millisecond(), self.commits))?;
        match counted {
            1 => Ok(()),
            _ => Err(LedgerFailure::Foreign),
        }
    }

    /// Whether entries tell enough of a change: then neither the state nor the indexes need be written.
    fn is_told_by_entries(&mut self, changed: &ChangedState<'_>) -> Result<bool, LedgerFailure> {
        let row = self.row(changed.account)?;
        Ok(changed.adds_up && row.is_some_and(|row| row.is_near(changed.state.offset)))
    }

    /// Writes a state; all entries that it counts have to be in the indexes.
    fn write_state(&mut self, changed: &ChangedState<'_>) -> Result<(), LedgerFailure> {
        let ChangedState { account, state, .. } = *changed;
        let json = serde_json::to_string(state).map_err(|_| LedgerFailure::Bug)?;
        let written = sql_integer(state.offset);
        let number = match self.row(account)? {
            Some(Row { number, .. }) => {
                let sql = "UPDATE account SET state = ?1, written = ?2 WHERE number = ?3";
                let mut statement = self.connection.prepare_cached(sql)?;
                statement.execute((json, written, number))?;
                number
            }
            None => {
                let sql = "INSERT INTO account (name, state, written) VALUES (?1, ?2, ?3)";
                let mut statement = self.connection.prepare_cached(sql)?;
                statement.execute((account.as_str(), json, written))?;
                self.connection.last_insert_rowid()
            }
        };
        let row = Row {
            number,
            written: state.offset,
        };
        self.rows.put(account.clone(), row);
        Ok(())
    }

    /// Writes entries behind the row of this number, and tells the numbers of theirs.
    fn write_entries<'a>(
        &self,
        last: i64,
        entries: &'a [NewEntry],
    ) -> Result<Vec<(i64, &'a NewEntry)>, LedgerFailure> {
        let mut statement = self.connection.prepare_cached(
            "INSERT INTO entry (number, place, source, id, fingerprint, day, revision, happened, count,
                                reverses, json)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?;
        let written = (last + 1..).zip(entries).map(|(number, new)| {
            let account = self.known_number(&new.account)?;
            // Rounded down, so that the date is the same in every zone.
            let happened = new.happened.as_nanosecond().div_euclid(1_000_000);
            let happened = i64::try_from(happened).expect("milliseconds of 10,000 years fit");
            statement.execute((
                number,
                place(account, new.entry.offset).ok_or(LedgerFailure::Full)?,
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
            Ok((number, new))
        });
        written.collect()
    }

    /// Writes an account's entries to the indexes: those that are recent, and these behind them.
    fn index(&mut self, account: &Account, new: &[(i64, &NewEntry)]) -> Result<(), LedgerFailure> {
        let account_number = self.row(account)?.ok_or(LedgerFailure::Bug)?.number;
        let mut places = self
            .connection
            .prepare_cached("INSERT INTO entry_place (place, entry) VALUES (?1, ?2)")?;
        let mut keys = self.connection.prepare_cached(
            "INSERT INTO entry_key (account, source, id, entry) VALUES (?1, ?2, ?3, ?4)",
        )?;
        let recent = self.recent.of(account);
        let recent = recent
            .entries()
            .iter()
            .map(|entry| (entry.number, &*entry.new));
        for (number, new) in recent.chain(new.iter().copied()) {
            let place = place(account_number, new.entry.offset).ok_or(LedgerFailure::Full)?;
            places.execute((place, number))?;
            keys.execute((account_number, &new.key.source, &new.key.id, number))?;
        }
        Ok(())
    }

    /// Writes an account's entries to the indexes, if one is in a row up to this number: before they are as many
    /// as that is best done with. Where they are not much fewer, the state goes along: else it would come soon,
    /// with another few.
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
        self.write_state(&ChangedState {
            account,
            state: &found.ok_or(LedgerFailure::Bug)?.state,
            adds_up: true,
        })
    }

    /// Writes the oldest entries of the backlog to the indexes, while it is too long.
    fn shorten_backlog(&mut self) -> Result<(), CommitError> {
        while let Some(leaving) = self.backlog.leaving() {
            self.transact(|writer| {
                for account in &leaving.accounts {
                    writer.index_up_to(leaving.last, account)?;
                }
                let sql = "UPDATE history SET indexed = ?1";
                let mut statement = writer.connection.prepare_cached(sql)?;
                statement.execute([leaving.last])?;
                Ok(())
            })?;
            self.checkpoint_is_due = true;
            self.backlog.left(&leaving);
            let mut recent = self.recent.change();
            for account in &leaving.accounts {
                recent.remove_up_to(leaving.last, account);
            }
        }
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

    /// One transaction of what `write` does.
    fn transact<T>(
        &mut self,
        write: impl FnOnce(&mut Self) -> Result<T, LedgerFailure>,
    ) -> Result<T, CommitError> {
        // Not by turning the reading into writing: that would not wait for another process. Whether
        // one wrote in between, the number of commits tells.
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

    /// A commit that was counted is durable.
    fn committed(&mut self) {
        self.commits += 1;
        self.checkpoint_is_due = true;
        // Only a restored backup would notice a marker that lags; the entries are durable.
        if let Err(error) = self.marker.write(self.epoch, self.commits) {
            tracing::warn!(%error, "the marker beside the ledger could not be written");
        }
    }

    /// What a checkpoint's outcome means: what was said to be durable still is, or nobody knows.
    fn tidied(&mut self, tidied: rusqlite::Result<()>) -> Result<(), CommitError> {
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

    /// After a failure: rolled back where nothing can have reached the disk as committed.
    fn roll_back(&mut self, failure: &LedgerFailure, at_commit: bool) -> CommitError {
        // What was learned inside the transaction is gone with it.
        self.rows.clear();
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
    fn state(&mut self, account: &Account) -> Result<Option<AccountState>, LedgerError> {
        self.begin_reading()?;
        let found = find_account(&self.connection, account, self.recent.of(account))?;
        Ok(found.map(|found| {
            let row = Row {
                number: found.number,
                written: found.written,
            };
            self.rows.put(account.clone(), row);
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
        let sql = "SELECT entry FROM entry_key WHERE account = ?1 AND source = ?2 AND id = ?3";
        let entry = self
            .connection
            .prepare_cached(sql)?
            .query_row((number, &key.source, &key.id), |row| row.get::<_, i64>(0))
            .optional()?;
        let Some(entry) = entry else {
            return Ok(None);
        };
        let mut statement = self.connection.prepare_cached(
            "SELECT offset, json, fingerprint, day, revision FROM entry WHERE number = ?1",
        )?;
        let mut rows = statement.query([entry])?;
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
        self.show(&written);
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
            writer.count_commit(at)
        })?;
        self.committed();
        self.recent.change().remove(account);
        self.rows.pop(account);
        self.log.holds_traces();
        // Before it is answered, so that whoever looks into the files afterwards finds nothing.
        let removed = rewrite(&self.connection)
            .and_then(|()| self.log.remove_traces(&self.connection, self.commits));
        self.tidied(removed)
    }

    /// Moves the log into the database once it is long. An I/O error in there means that pages which
    /// were said to be durable may not be.
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
                    "the ledger's indexes lag behind; memory and what a start reads grow until they do not"
                );
            }
            Err(unknown) => return Err(unknown),
        }
        let tidied = ended
            .and_then(|()| self.log.checkpoint(&self.connection))
            .and_then(|()| self.log.remove_traces(&self.connection, self.commits));
        self.tidied(tidied)
    }
}

impl Drop for SqliteWriter {
    /// Leaves a database file that is whole without its log.
    fn drop(&mut self) {
        if self.has_failed {
            return;
        }
        if let Err(error) = log::truncate(&self.connection) {
            tracing::warn!(%error, "no last checkpoint of the ledger; the next start reads the log");
        }
    }
}
