use jiff::{Timestamp, civil::Date};

use super::{
    AccountView, Commit, CommitError, DayRange, DaysView, EntryRange, HappenedEntry, LedgerError,
    RecordedEvent, Unavailable,
};
use crate::domain::{Account, AccountState, DayTotals, Epoch, EventKey, StoredRevocation};

/// A durable, append-only history of every account.
///
/// All methods block; Tallycast calls readers and the writer on threads of their own.
pub trait Ledger: Send + Sync + 'static {
    /// The id of this history. It changes when a backup is restored.
    fn epoch(&self) -> Epoch;

    /// The instant of the latest commit. The server's time never falls below it, even if its clock is set
    /// back.
    fn recorded_until(&self) -> Timestamp;

    /// The ledger's only writer.
    ///
    /// # Errors
    /// When the storage cannot be opened, or the writer is already in use.
    fn writer(&self) -> Result<Box<dyn LedgerWriter>, LedgerError>;

    /// A new reader.
    ///
    /// # Errors
    /// When the storage cannot be opened.
    fn reader(&self) -> Result<Box<dyn LedgerReader>, LedgerError>;
}

/// Reads committed data.
pub trait LedgerReader: Send {
    /// An account's state and some of its entries, both of the same commit.
    ///
    /// # Errors
    /// When the storage cannot be read.
    fn view(&mut self, account: &Account, entries: EntryRange) -> Result<AccountView, LedgerError>;

    /// An account's state and some of its past days, both of the same commit.
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

    /// All stored revocations, with or without those that have expired. The default is none.
    ///
    /// # Errors
    /// When the storage cannot be read.
    fn revocations(&mut self) -> Result<Vec<StoredRevocation>, LedgerError> {
        Ok(Vec::new())
    }
}

/// Reads and commits. There is only one per ledger.
pub trait LedgerWriter: Send {
    /// An account's state; `None` if none was committed.
    ///
    /// # Errors
    /// When the storage cannot be read.
    fn state(&mut self, account: &Account) -> Result<Option<AccountState>, LedgerError>;

    /// The event that was recorded under this key, if any.
    ///
    /// # Errors
    /// When the storage cannot be read.
    fn recorded(
        &mut self,
        account: &Account,
        key: &EventKey,
    ) -> Result<Option<RecordedEvent>, LedgerError>;

    /// Whether the entry at `offset` is reversed.
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

    /// What was consumed of one meter and unit on a past day; `None` if nothing was.
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

    /// Makes all of a commit durable, or nothing of it.
    ///
    /// # Errors
    /// [`CommitError::RolledBack`] if nothing was recorded for certain, [`CommitError::Unknown`] if it may
    /// have been.
    fn commit(&mut self, commit: &Commit<'_>) -> Result<(), CommitError>;

    /// Removes an account, so that nothing of it can be read from the storage. This is the one exception to
    /// append-only. `at` is the instant of this commit.
    ///
    /// # Errors
    /// [`CommitError::RolledBack`] if nothing was removed for certain, [`CommitError::Unknown`] if it may
    /// have been.
    fn erase(&mut self, account: &Account, at: Timestamp) -> Result<(), CommitError>;

    /// Makes a revocation durable, in place of an earlier one with the same key. `at` is the instant of this commit.
    ///
    /// The default refuses it with [`Unavailable::Unsupported`], so that a ledger that stores no revocations does not
    /// lose them silently at a restart.
    ///
    /// # Errors
    /// [`CommitError::RolledBack`] if it was not stored for certain, [`CommitError::Unknown`] if it may have been.
    fn revoke(
        &mut self,
        _revocation: &StoredRevocation,
        _at: Timestamp,
    ) -> Result<(), CommitError> {
        Err(CommitError::RolledBack(Unavailable::Unsupported))
    }

    /// Does maintenance work, such as removing revocations that have expired. It is called after the callers of each
    /// commit have been answered.
    ///
    /// # Errors
    /// [`CommitError::Unknown`] if commits that were reported as durable may be lost.
    fn maintain(&mut self) -> Result<(), CommitError> {
        Ok(())
    }
}
