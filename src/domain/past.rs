use std::collections::BTreeMap;

use jiff::{ToSpan, civil::Date};
use serde::{Deserialize, Serialize};

use super::{
    Account, AccountState, Amount, Happened, Invalid, Kind, Pair, Zone,
    totals::PairTotals,
    window::{Sum, Sums, Window, month_of, open},
};

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
    /// The first day of the one that holds `date`.
    #[must_use]
    pub fn start(self, date: Date) -> Date {
        match self {
            Self::Day => date,
            Self::Month => month_of(date),
        }
    }

    /// The day after the last of the one that begins at `start`.
    #[must_use]
    pub fn end(self, start: Date) -> Date {
        match self {
            Self::Day => start.saturating_add(1.day()),
            Self::Month => start.saturating_add(1.month()),
        }
    }
}

/// What an account consumed of one meter and unit on a day that is over.
#[derive(Debug, Clone, PartialEq)]
pub struct DayTotals {
    /// The day.
    pub date: Date,
    /// What was counted.
    pub meter: String,
    /// In what.
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

/// An account's days, counted anew in another time zone, entry by entry.
#[derive(Debug)]
pub(crate) struct Recount {
    zone: Zone,
    generation: u64,
    through: u64,
    days: BTreeMap<(Date, Pair), Sums>,
}

impl Recount {
    pub(crate) fn new(zone: Zone, generation: u64) -> Self {
        Self {
            zone,
            generation,
            through: 0,
            days: BTreeMap::new(),
        }
    }

    /// Whether it counts this account, and in this zone.
    pub(crate) fn is_of(&self, generation: u64, zone: &Zone) -> bool {
        self.generation == generation && self.zone == *zone
    }

    /// The offset up to which entries are in it.
    pub(crate) fn through(&self) -> u64 {
        self.through
    }

    /// Takes the next entry.
    ///
    /// # Panics
    /// When a day's sum overflows: 10^14 entries cannot do that.
    pub(crate) fn add(&mut self, happened: &Happened<'_>) {
        let entry = &happened.entry;
        self.through = entry.offset;
        if entry.kind == Kind::Alert {
            return;
        }
        let term = happened.term(&self.zone);
        let pair = Pair {
            meter: entry.meter.clone().into_owned(),
            unit: entry.unit.clone().into_owned(),
        };
        self.days.entry((term.date, pair)).or_default().add(term);
    }

    /// Sorts what was counted into the windows of `pairs`, which are emptied before, and the days that
    /// were over at the date `oldest`.
    ///
    /// # Errors
    /// `too_many_categories` in a window.
    pub(crate) fn sort_into(
        self,
        pairs: &mut [PairTotals],
        oldest: Date,
    ) -> Result<Vec<DayTotals>, Invalid> {
        for pair in &mut *pairs {
            pair.months.clear();
            pair.days.clear();
        }
        let mut over = Vec::new();
        for ((date, pair), sums) in self.days {
            let of_pair = |totals: &&mut PairTotals| totals.is_of(&pair.meter, &pair.unit);
            let Some(totals) = pairs.iter_mut().find(of_pair) else {
                continue;
            };
            let month = month_of(date);
            if month >= month_of(oldest) {
                let window = open(&mut totals.months, month);
                window.merge(&sums)?;
                window.check_categories()?;
            }
            if date >= oldest {
                sums.check_categories()?;
                totals.days.push(Window { start: date, sums });
            } else {
                over.push(DayTotals::new(date, pair, sums));
            }
        }
        Ok(over)
    }
}

/// What was consumed in past days or months, for charts.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PastTotals {
    /// Whose they are.
    account: Account,
    /// The entries that are in it: all up to this offset.
    offset: u64,
    /// The IANA time zone whose days and months these are.
    time_zone: String,
    /// How long each period is.
    by: Period,
    /// By date, then meter and unit; periods without entries are left out.
    totals: Vec<PeriodTotals>,
    /// The `from` of the page that follows; `null` where this is the last.
    next: Option<Date>,
}

/// What was consumed of one meter and unit in one day or month.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct PeriodTotals {
    /// What was counted.
    meter: String,
    /// In what.
    unit: String,
    /// The first day of the period.
    start: Date,
    /// The day after its last one.
    end: Date,
    #[serde(flatten)]
    sum: Sum,
    /// The amount of each category.
    categories: BTreeMap<String, Amount>,
}

impl PastTotals {
    /// The periods from `from` to before `until`, made of the days that are over and of those that
    /// `state` still counts.
    ///
    /// # Errors
    /// `amount_overflow`.
    pub(crate) fn new(
        account: Account,
        state: &AccountState,
        over: Vec<DayTotals>,
        by: Period,
        (from, until): (Date, Date),
        next: Option<Date>,
    ) -> Result<Self, Invalid> {
        let mut periods: BTreeMap<(Date, Pair), Sums> = BTreeMap::new();
        let days = over.into_iter().chain(state.open_days());
        for day in days.filter(|day| (from..until).contains(&day.date)) {
            let DayTotals {
                date,
                meter,
                unit,
                sums,
            } = day;
            let key = (by.start(date), Pair { meter, unit });
            periods.entry(key).or_default().merge(&sums)?;
        }
        let totals = periods
            .into_iter()
            .map(|((start, pair), sums)| PeriodTotals {
                meter: pair.meter,
                unit: pair.unit,
                start,
                end: by.end(start),
                sum: sums.sum,
                categories: sums.categories,
            });
        Ok(Self {
            account,
            offset: state.offset,
            time_zone: state.profile.time_zone.name().to_owned(),
            by,
            totals: totals.collect(),
            next,
        })
    }

    /// The `from` of the page that follows; `None` where this is the last.
    #[must_use]
    pub fn next(&self) -> Option<Date> {
        self.next
    }
}
