use jiff::{ToSpan, civil::Date};
use serde::{Deserialize, Serialize};

/// A span of the calendar, in an account's time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum Period {
    /// Midnight to midnight.
    Day,
    /// From the first of the month.
    Month,
}

impl Period {
    /// The first day of the period that contains `date`.
    #[must_use]
    pub fn start(self, date: Date) -> Date {
        match self {
            Self::Day => date,
            Self::Month => date.first_of_month(),
        }
    }

    /// The day after the last day of the period that begins at `start`.
    #[must_use]
    pub fn end(self, start: Date) -> Date {
        match self {
            Self::Day => start.saturating_add(1.day()),
            Self::Month => start.saturating_add(1.month()),
        }
    }
}
