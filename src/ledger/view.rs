use jiff::civil::Date;

use crate::domain::{AccountState, DayTotals, Period, StoredEntry};

/// Which entries of an account to read. Every variant is bounded in number and bytes.
#[derive(Debug, Clone, Copy)]
pub enum EntryRange {
    /// No entries, only the state.
    None,
    /// The last entries, oldest first.
    Last {
        /// The most entries to read.
        count: usize,
        /// Stop before their JSON exceeds this many bytes; the first entry is always read.
        bytes: usize,
    },
    /// The entries after an offset, oldest first.
    After {
        /// The offset before the first entry.
        offset: u64,
        /// The most entries to read.
        count: usize,
        /// Stop before their JSON exceeds this many bytes; the first entry is always read.
        bytes: usize,
    },
    /// The entries before an offset, newest first.
    Before {
        /// The offset after the first entry.
        offset: u64,
        /// The most entries to read.
        count: usize,
        /// Stop before their JSON exceeds this many bytes; the first entry is always read.
        bytes: usize,
    },
}

/// An account at one commit.
#[derive(Debug)]
pub struct AccountView {
    /// Everything that its entries add up to.
    pub state: AccountState,
    /// The requested entries, in the order of their [`EntryRange`].
    pub entries: Vec<StoredEntry>,
}

/// Which days of an account to read.
#[derive(Debug, Clone, Copy)]
pub struct DayRange {
    /// The first day.
    pub from: Date,
    /// The day after the last one.
    pub until: Date,
    /// Read whole periods of this length.
    pub by: Period,
    /// Begin no further period once the days have about this many bytes as JSON.
    pub bytes: usize,
    /// Leave out a period that has more bytes than this, and end before it. So the days that a reader holds have at
    /// most `bytes + period_bytes_max`.
    pub period_bytes_max: usize,
}

/// An account at one commit, with some of its past days.
#[derive(Debug)]
pub struct DaysView {
    /// Everything that its entries add up to.
    pub state: AccountState,
    /// The past days, by date.
    pub days: Vec<DayTotals>,
    /// The start of the first period that is left out; `None` if none is. Without any days, this period is too large.
    pub next: Option<Date>,
}
