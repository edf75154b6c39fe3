use jiff::civil::Date;

use super::DayRange;
use crate::domain::DayTotals;

/// Roughly the bytes of a day in an answer besides its sums: names, dates, punctuation.
const FRAME_BYTES: usize = 128;

/// The days of whole periods, within the bounds of a [`DayRange`].
pub(super) struct DayPage {
    range: DayRange,
    days: Vec<DayTotals>,
    bytes: usize,
    /// The period of the last day.
    period: Option<PagePeriod>,
    next: Option<Date>,
}

struct PagePeriod {
    start: Date,
    /// How many days, and bytes, are before it.
    days_before: usize,
    bytes_before: usize,
}

impl DayPage {
    pub(super) fn new(range: DayRange) -> Self {
        Self {
            range,
            days: Vec::new(),
            bytes: 0,
            period: None,
            next: None,
        }
    }

    /// Reserves room for the next day, whose sums have this many bytes as JSON. If it returns false, the page is
    /// complete.
    pub(super) fn reserve(&mut self, date: Date, sums_bytes: usize) -> bool {
        let start = self.range.by.start(date);
        let is_begun = |period: &PagePeriod| period.start == start;
        if !self.period.as_ref().is_some_and(is_begun) {
            if self.bytes >= self.range.bytes {
                self.next = Some(start);
                return false;
            }
            self.period = Some(PagePeriod {
                start,
                days_before: self.days.len(),
                bytes_before: self.bytes,
            });
        }
        self.bytes += FRAME_BYTES + sums_bytes;
        if let Some(period) = &self.period
            && self.bytes - period.bytes_before > self.range.period_bytes_max
        {
            self.days.truncate(period.days_before);
            self.next = Some(start);
            return false;
        }
        true
    }

    /// Adds the day that room was reserved for.
    pub(super) fn push(&mut self, day: DayTotals) {
        self.days.push(day);
    }

    /// The days, and the start of the first period that is not among them.
    pub(super) fn finish(self) -> (Vec<DayTotals>, Option<Date>) {
        (self.days, self.next)
    }
}
