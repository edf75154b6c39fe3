use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::domain::{
    DayTotals, Happened, Invalid, Kind, Pair, Sums, Zone,
    totals::PairTotals,
    totals::{Window, month_of, open},
};

/// An account's days, counted again in another time zone, entry by entry.
#[derive(Debug)]
pub(crate) struct Recount {
    zone: Zone,
    generation: u64,
    /// The offset of the last entry that is counted.
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

    /// Whether it counts this generation of the account, in this zone.
    pub(crate) fn is_of(&self, generation: u64, zone: &Zone) -> bool {
        self.generation == generation && self.zone == *zone
    }

    /// The offset of the last entry that is counted.
    pub(crate) fn through(&self) -> u64 {
        self.through
    }

    /// How many days it has, each once for every meter and unit.
    pub(crate) fn days(&self) -> usize {
        self.days.len()
    }

    /// Counts the next entry.
    ///
    /// # Panics
    /// When a day's sum overflows, which takes more than 10^14 entries.
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

    /// Replaces the windows of `pairs` by the new days, and returns the days before `oldest`, the first
    /// date that is not over.
    ///
    /// # Errors
    /// `too_many_categories` in a window, `amount_overflow`.
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
