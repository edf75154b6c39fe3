use std::collections::{BTreeMap, btree_map};

use jiff::civil::Date;
use serde::Serialize;

use crate::domain::{
    Account, AccountState, Amount, DayTotals, Invalid, Pair, Period, Sums, totals::Sum,
};

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
    /// The periods from `from` up to but not including `until`: the past days `over`, and the days that
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
            match periods.entry(key) {
                btree_map::Entry::Occupied(mut period) => period.get_mut().merge(&sums)?,
                btree_map::Entry::Vacant(period) => drop(period.insert(sums)),
            }
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

    /// The `from` of the next page; `None` if this is the last.
    #[must_use]
    pub fn next(&self) -> Option<Date> {
        self.next
    }
}
