use crate::domain::{Account, Amount, Invalid, Stamp};

/// The outcome of appending one event.
#[derive(Debug)]
pub(crate) enum Appended {
    /// It has a new entry.
    Recorded(Placed),
    /// It was recorded earlier.
    Duplicate(Placed),
    /// Its key was recorded earlier with other content.
    Conflict(Invalid),
    /// The account's state or a rule forbids it.
    Rejected(Invalid),
}

/// Where an entry is, and the total after it.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) account: Account,
    pub(crate) generation: u64,
    pub(crate) offset: u64,
    pub(crate) total: Amount,
    pub(crate) stamp: Stamp,
}
