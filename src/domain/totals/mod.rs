mod day;
mod past;
mod period;
mod recount;
mod window;

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan, civil::Date};
use serde::{Deserialize, Serialize};

pub use day::DayTotals;
pub use past::PastTotals;
pub use period::Period;
pub(crate) use recount::Recount;
pub use window::Sums;
pub(super) use window::{Sum, Term, find};

use self::window::{Window, escaped_bytes, month_of, open, overflow};
use crate::domain::{Amount, Invalid, Zone};

/// A meter and its unit. Each pair has totals of its own: units are never summed up.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Pair {
    pub(crate) meter: String,
    pub(crate) unit: String,
}

/// The sums of one meter and unit, as the ledger stores them: of all time, and of the months and days that
/// are not over yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PairTotals {
    pub(crate) meter: String,
    pub(crate) unit: String,
    pub(crate) all: Sum,
    /// This month and, minutes before its end, the next one: an event's time may be ahead of now.
    pub(crate) months: Vec<Window>,
    /// Today and, minutes before midnight, tomorrow.
    pub(crate) days: Vec<Window>,
}

impl PairTotals {
    pub(crate) fn new(pair: Pair) -> Self {
        Self {
            meter: pair.meter,
            unit: pair.unit,
            all: Sum::default(),
            months: Vec::new(),
            days: Vec::new(),
        }
    }

    pub(crate) fn is_of(&self, meter: &str, unit: &str) -> bool {
        self.meter == meter && self.unit == unit
    }

    /// Whether it holds a window from before `today`.
    pub(crate) fn has_ended(&self, today: Date) -> bool {
        self.days.iter().any(|window| window.start < today)
            || self
                .months
                .iter()
                .any(|window| window.start < month_of(today))
    }

    /// Drops the months, and takes out the days, that are over at the date `oldest`.
    pub(crate) fn take_ended(&mut self, oldest: Date) -> impl Iterator<Item = Window> {
        self.months.retain(|month| month.start >= month_of(oldest));
        self.days.extract_if(.., move |day| day.start < oldest)
    }

    /// Checks that [`add`](Self::add) will succeed. The caller has taken out the windows that are over.
    ///
    /// # Errors
    /// `amount_overflow`, `too_many_categories`.
    pub(crate) fn check(&self, term: Term<'_>) -> Result<(), Invalid> {
        self.all.checked_add(term.sum).ok_or_else(overflow)?;
        if let Some(window) = find(&self.months, month_of(term.date)) {
            window.sums.check(term)?;
        }
        if let Some(window) = find(&self.days, term.date) {
            window.sums.check(term)?;
        }
        Ok(())
    }

    /// Adds an entry. One from before `oldest`, the first date that is not over, adds only to `all` and, if
    /// its month is not over, to the month.
    ///
    /// # Panics
    /// When [`check`](Self::check) would have refused it.
    pub(crate) fn add(&mut self, term: Term<'_>, oldest: Date) {
        self.all = self.all.checked_add(term.sum).expect("checked before");
        if month_of(term.date) >= month_of(oldest) {
            open(&mut self.months, month_of(term.date)).add(term);
        }
        if term.date >= oldest {
            open(&mut self.days, term.date).add(term);
        }
    }

    /// The most bytes that this term adds to its JSON.
    pub(crate) fn growth(&self, term: Term<'_>, oldest: Date) -> usize {
        if term.category.is_none() {
            return 0;
        }
        let nothing = Sums::default();
        let of =
            |window: Option<&Window>| window.map_or(&nothing, |window| &window.sums).growth(term);
        let mut growth = 0;
        if month_of(term.date) >= month_of(oldest) {
            growth += of(find(&self.months, month_of(term.date)));
        }
        if term.date >= oldest {
            growth += of(find(&self.days, term.date));
        }
        growth
    }

    /// The most bytes that it takes as JSON in a feed message.
    pub(crate) fn json_bytes(&self) -> usize {
        // The field names, and the longest dates, counts and sums.
        const FRAME_BYTES: usize = 480;
        let longest =
            |windows: &[Window]| windows.iter().map(|window| window.sums.json_bytes()).max();
        FRAME_BYTES
            + escaped_bytes(&self.meter)
            + escaped_bytes(&self.unit)
            + longest(&self.months).unwrap_or(0)
            + longest(&self.days).unwrap_or(0)
    }

    /// Roughly how much memory it takes, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        const CATEGORY_BYTES: usize = 96;
        let windows = self.months.iter().chain(&self.days);
        let categories = windows.flat_map(|window| window.sums.categories.keys());
        let categories = categories
            .map(|name| CATEGORY_BYTES + name.len())
            .sum::<usize>();
        size_of::<Self>()
            + self.meter.len()
            + self.unit.len()
            + 4 * size_of::<Window>()
            + categories
    }
}

/// The totals of one meter and unit at an instant, as clients see them.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Totals<'a> {
    /// What is counted.
    meter: &'a str,
    /// In what; units are never summed up.
    unit: &'a str,
    /// Of all time.
    all: Sum,
    /// Of this month, in the account's time zone.
    month: WindowTotals<'a>,
    /// Of today, in the account's time zone.
    day: WindowTotals<'a>,
}

/// What was consumed in one day or month.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct WindowTotals<'a> {
    /// The first day of the window.
    start: Date,
    /// The day after its last one.
    end: Date,
    #[serde(flatten)]
    sum: Sum,
    /// The amount of each category.
    categories: &'a BTreeMap<String, Amount>,
}

static NO_CATEGORIES: BTreeMap<String, Amount> = BTreeMap::new();

impl<'a> Totals<'a> {
    pub(crate) fn at(pair: &'a PairTotals, zone: &Zone, now: Timestamp) -> Self {
        let today = zone.date_of(now);
        let month = month_of(today);
        Self {
            meter: &pair.meter,
            unit: &pair.unit,
            all: pair.all,
            month: WindowTotals::new(&pair.months, month, month.saturating_add(1.month())),
            day: WindowTotals::new(&pair.days, today, today.saturating_add(1.day())),
        }
    }
}

impl<'a> WindowTotals<'a> {
    fn new(windows: &'a [Window], start: Date, end: Date) -> Self {
        let window = find(windows, start);
        Self {
            start,
            end,
            sum: window.map_or(Sum::default(), |window| window.sums.sum),
            categories: window.map_or(&NO_CATEGORIES, |window| &window.sums.categories),
        }
    }
}
