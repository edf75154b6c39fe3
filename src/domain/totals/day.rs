use jiff::civil::Date;

use crate::domain::{Pair, Sums};

/// What an account consumed of one meter and unit on a day that is over.
#[derive(Debug, Clone, PartialEq)]
pub struct DayTotals {
    /// The day.
    pub date: Date,
    /// What was counted.
    pub meter: String,
    /// Its unit.
    pub unit: String,
    /// How much.
    pub sums: Sums,
}

impl DayTotals {
    pub(crate) fn new(date: Date, pair: Pair, sums: Sums) -> Self {
        Self {
            date,
            meter: pair.meter,
            unit: pair.unit,
            sums,
        }
    }
}
