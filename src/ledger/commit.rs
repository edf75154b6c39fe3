use jiff::Timestamp;

use super::NewEntry;
use crate::domain::{Account, AccountState, DayTotals};

/// What one transaction records.
#[derive(Debug)]
pub struct Commit<'a> {
    /// The new state of each changed account, once each.
    pub states: &'a [ChangedState<'a>],
    /// The new entries, grouped by account in the order of `states`; each account's in the order of their
    /// offsets.
    pub entries: &'a [NewEntry],
    /// The accounts whose past days were counted again: delete their stored days before `days` is written.
    pub recounted: &'a [&'a Account],
    /// The changed past days. They replace the stored ones.
    pub days: &'a [(&'a Account, &'a DayTotals)],
    /// The instant of this commit.
    pub recorded_at: Timestamp,
}

/// A changed account's new state.
#[derive(Debug, Clone, Copy)]
pub struct ChangedState<'a> {
    /// The account.
    pub account: &'a Account,
    /// Everything that its entries add up to.
    pub state: &'a AccountState,
    /// Whether the previous state and the new entries add up to it. A ledger that stores both of those may
    /// then skip storing this state.
    pub adds_up: bool,
}
