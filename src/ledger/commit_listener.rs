use jiff::Timestamp;

use super::NewEntry;
use crate::domain::{Account, AccountState};

/// Is notified of each commit, on the writer's thread.
pub(crate) trait CommitListener: Send + 'static {
    /// The current time.
    fn now(&self) -> Timestamp;
    /// A commit of these accounts is durable.
    fn committed<'a>(&self, accounts: impl Iterator<Item = AccountCommit<'a>>, at: Timestamp);
    /// The removal of an account is durable.
    fn erased(&self, account: &Account, at: Timestamp);
    /// A revocation is durable.
    fn revoked(&self, at: Timestamp);
    /// A commit's outcome is unknown. Nothing more will be recorded.
    fn poisoned(&self, reason: &str);
}

/// An account's new state and entries in one commit.
pub(crate) struct AccountCommit<'a> {
    pub(crate) account: &'a Account,
    pub(crate) state: &'a AccountState,
    pub(crate) entries: &'a [NewEntry],
}
