//! Where entries are kept. The rooms below are the only ones that know SQL; the [`writer`] folds
//! events and commits them in groups, on a thread of its own.

mod batch;
mod fold;
mod memory;
mod readers;
mod recount;
mod sqlite;
mod writer;

use std::fmt;

use jiff::{Timestamp, civil::Date};

pub(crate) use fold::{Appended, Placed};
pub(crate) use readers::Readers;
pub(crate) use writer::{AccountCommit, CommitListener, Job, Writer};

pub use memory::Memory;
pub use sqlite::Sqlite;

use crate::domain::{
    Account, AccountState, DayTotals, Epoch, EventKey, Happened, Period, Stamp, StoredEntry,
};

/// A durable, append-only history of every account.
///
/// All methods block; Tallycast calls readers and the writer on threads of their own.
pub trait Ledger: Send + Sync + 'static {
    /// The id of this history.
    fn epoch(&self) -> Epoch;

    /// The instant of the latest commit: a clock set back does not go behind it.
    fn recorded_until(&self) -> Timestamp;

    /// The one writer.
    ///
    /// # Errors
    /// When the storage cannot be opened, or the writer was given out before.
    fn writer(&self) -> Result<Box<dyn LedgerWriter>, LedgerError>;

    /// One more reader.
    ///
    /// # Errors
    /// When the storage cannot be opened.
    fn reader(&self) -> Result<Box<dyn LedgerReader>, LedgerError>;
}

/// Reads what is committed.
pub trait LedgerReader: Send {
    /// An account's state and some of its entries, from one moment.
    ///
    /// # Errors
    /// When the storage cannot be read.
    fn view(&mut self, account: &Account, entries: EntryRange) -> Result<AccountView, LedgerError>;

    /// An account's state and some of its days that are over, from one moment.
    ///
    /// # Errors
    /// When the storage cannot be read.
    fn days(&mut self, account: &Account, days: DayRange) -> Result<DaysView, LedgerError>;

    /// At most `count` of the account's entries after `offset`, oldest first.
    ///
    /// # Errors
    /// When the storage cannot be read.
    fn happened_after(
        &mut self,
        account: &Account,
        offset: u64,
        count: usize,
    ) -> Result<Vec<HappenedEntry>, LedgerError>;
}

/// Reads and commits, alone.
pub trait LedgerWriter: Send {
    /// An account's state, once one was committed.
    ///
    /// # Errors
    /// When the storage cannot be read.
    fn state(&mut self, account: &Account) -> Result<Option<AccountState>, LedgerError>;

    /// What this key recorded, if it did.
    ///
    /// # Errors
    /// When the storage cannot be read.
    fn recorded(
        &mut self,
        account: &Account,
        key: &EventKey,
    ) -> Result<Option<RecordedEvent>, LedgerError>;

    /// Whether a reversal of the entry at `offset` is recorded.
    ///
    /// # Errors
    /// When the storage cannot be read.
    fn is_reversed(&mut self, account: &Account, offset: u64) -> Result<bool, LedgerError>;

    /// At most `count` of the account's entries after `offset`, oldest first.
    ///
    /// # Errors
    /// When the storage cannot be read.
    fn happened_after(
        &mut self,
        account: &Account,
        offset: u64,
        count: usize,
    ) -> Result<Vec<HappenedEntry>, LedgerError>;

    /// What was consumed of one meter and unit on a day that is over, if anything.
    ///
    /// # Errors
    /// When the storage cannot be read.
    fn past_day(
        &mut self,
        account: &Account,
        date: Date,
        meter: &str,
        unit: &str,
    ) -> Result<Option<DayTotals>, LedgerError>;

    /// Makes all of it durable, or none.
    ///
    /// # Errors
    /// Whether it was surely not recorded, or nobody can know.
    fn commit(&mut self, commit: &Commit<'_>) -> Result<(), CommitError>;

    /// Removes everything of an account, so that nothing of it can be read from the storage: the one
    /// exception to append-only. `at` is the instant of this commit.
    ///
    /// # Errors
    /// Whether it was surely not removed, or nobody can know.
    fn erase(&mut self, account: &Account, at: Timestamp) -> Result<(), CommitError>;

    /// Housekeeping, called after each commit was answered.
    ///
    /// # Errors
    /// When the storage may not hold any more what it said to be durable.
    fn maintain(&mut self) -> Result<(), CommitError> {
        Ok(())
    }
}

/// Which entries of an account to read; every kind is bounded in number and bytes.
#[derive(Debug, Clone, Copy)]
pub enum EntryRange {
    /// None: the state alone.
    None,
    /// The last ones.
    Last {
        /// How many at the most.
        count: usize,
        /// Stop before the bytes of their JSON exceed this; the first is always read.
        bytes: usize,
    },
    /// Those after an offset, oldest first.
    After {
        /// The offset before the first.
        offset: u64,
        /// How many at the most.
        count: usize,
        /// Stop before the bytes of their JSON exceed this; the first is always read.
        bytes: usize,
    },
    /// Those before an offset, newest first.
    Before {
        /// The offset behind the first.
        offset: u64,
        /// How many at the most.
        count: usize,
        /// Stop before the bytes of their JSON exceed this; the first is always read.
        bytes: usize,
    },
}

/// An account at one moment.
#[derive(Debug)]
pub struct AccountView {
    /// All that its entries add up to.
    pub state: AccountState,
    /// The entries asked for; ascending but for `Before`.
    pub entries: Vec<StoredEntry>,
}

/// Which days of an account to read.
#[derive(Debug, Clone, Copy)]
pub struct DayRange {
    /// The first.
    pub from: Date,
    /// The one after the last.
    pub until: Date,
    /// Read whole ones of these.
    pub by: Period,
    /// Begin no further period once the JSON of the sums read has so many bytes.
    pub bytes: usize,
}

/// An account at one moment, with some of its past.
#[derive(Debug)]
pub struct DaysView {
    /// All that its entries add up to.
    pub state: AccountState,
    /// The days that are over, by date.
    pub days: Vec<DayTotals>,
    /// Where the first period begins that was not read, if one was left.
    pub next: Option<Date>,
}

/// An event that is in the ledger.
#[derive(Debug, Clone)]
pub struct RecordedEvent {
    /// The fingerprint of what was sent.
    pub fingerprint: [u8; 16],
    /// The stamp of its position when it was recorded.
    pub stamp: Stamp,
    /// What it became.
    pub entry: StoredEntry,
}

/// An entry with what windows are counted from.
#[derive(Debug)]
pub struct HappenedEntry {
    /// The entry.
    pub entry: StoredEntry,
    /// What it adds to the count.
    pub count: i64,
    /// The instant it happened.
    pub happened: Timestamp,
}

/// What one transaction records.
#[derive(Debug)]
pub struct Commit<'a> {
    /// Every changed account's new state, once each.
    pub states: &'a [ChangedState<'a>],
    /// The new entries; of one account side by side in the order of their offsets, accounts in the order of
    /// `states`.
    pub entries: &'a [NewEntry],
    /// The accounts whose days that are over were counted anew: forget those that were kept.
    pub recounted: &'a [&'a Account],
    /// The changed days that are over, in place of what was kept of them.
    pub days: &'a [(&'a Account, &'a DayTotals)],
    /// The instant of this commit.
    pub recorded_at: Timestamp,
}

/// An account as a transaction leaves it.
#[derive(Debug, Clone, Copy)]
pub struct ChangedState<'a> {
    /// Whose.
    pub account: &'a Account,
    /// All that its entries add up to.
    pub state: &'a AccountState,
    /// Whether it is the state before with the new entries added: then it need not be kept, as long as
    /// both of those are.
    pub adds_up: bool,
}

/// One more entry, with what it is found by.
#[derive(Debug, Clone)]
pub struct NewEntry {
    /// Whose.
    pub account: Account,
    /// Its idempotency key.
    pub key: EventKey,
    /// The fingerprint of what was sent.
    pub fingerprint: [u8; 16],
    /// The stamp of its position.
    pub stamp: Stamp,
    /// The instant it happened.
    pub happened: Timestamp,
    /// What it adds to the count.
    pub count: i64,
    /// The offset of the entry it reverses.
    pub reverses: Option<u64>,
    /// Its JSON.
    pub entry: StoredEntry,
}

impl HappenedEntry {
    pub(crate) fn read(&self) -> Happened<'_> {
        Happened {
            entry: self.entry.header(),
            count: self.count,
            happened: self.happened,
        }
    }
}

impl From<&NewEntry> for HappenedEntry {
    fn from(new: &NewEntry) -> Self {
        Self {
            entry: new.entry.clone(),
            count: new.count,
            happened: new.happened,
        }
    }
}

impl From<&NewEntry> for RecordedEvent {
    fn from(new: &NewEntry) -> Self {
        Self {
            fingerprint: new.fingerprint,
            stamp: new.stamp,
            entry: new.entry.clone(),
        }
    }
}

/// The storage could not be read or opened.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct LedgerError {
    message: String,
}

impl LedgerError {
    /// An error that this sentence explains.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

/// A commit did not succeed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// Rolled back for sure: nothing was recorded. It may work later.
    #[error("{0}")]
    RolledBack(Unavailable),
    /// Whether it was recorded is unknown until the ledger is opened again.
    #[error("the outcome of a commit is unknown: {0}")]
    Unknown(String),
}

/// The ledger cannot record or read now; nothing that was acknowledged is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unavailable {
    /// The disk is full; it heals by itself when there is room again.
    DiskFull,
    /// Another process holds the database, or it cannot be read; try again.
    Busy(String),
    /// A commit's outcome is unknown: restart the server, then send the same events again.
    Poisoned,
    /// The hub is shutting down.
    Closed,
}

impl Unavailable {
    /// The stable code, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::DiskFull => "disk_full",
            Self::Busy(_) => "busy",
            Self::Poisoned => "ledger_failed",
            Self::Closed => "shutting_down",
        }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DiskFull => "the ledger's disk is full: nothing was recorded; send again later",
            Self::Busy(_) => "the ledger cannot be used right now: send the same again",
            Self::Poisoned => {
                "a commit's outcome is unknown: send the same events again after a restart"
            }
            Self::Closed => "the server is shutting down: nothing was recorded; send again",
        })
    }
}

impl std::error::Error for Unavailable {}

impl From<LedgerError> for Unavailable {
    fn from(error: LedgerError) -> Self {
        Self::Busy(error.message)
    }
}
