use std::{collections::HashSet, fmt};

use serde::{Deserialize, Serialize};

use super::{
    Amount, Event, Invalid, Period,
    event::{check_name, check_symbol},
};

/// How much of one meter and unit an account means to consume in a day or month, and at what parts of
/// it an alert is due.
///
/// ```
/// # use tallycast::{domain::{Budget, Period}};
/// let groceries = Budget::new("groceries", Period::Month, "400".parse()?, "EUR")
///     .with_thresholds([80, 100]);
/// # Ok::<(), tallycast::Invalid>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(
        description = "How much of one meter and unit an account means to consume in a day or month, and at what parts of it an alert is due."
    )
)]
pub struct Budget {
    /// Its name inside the account: 1 to 128 characters.
    pub id: String,
    /// What is counted; `spend` unless said.
    #[serde(default = "spend")]
    #[cfg_attr(feature = "schema", schemars(!default))]
    pub meter: String,
    /// In what.
    pub unit: String,
    /// Over what time, in the account's time zone.
    pub window: Period,
    /// The whole of it: above zero.
    pub limit: Amount,
    /// The parts of `limit`, in percent, at which alerts are due: 1 to 1,000, ascending.
    pub thresholds: Vec<u16>,
}

impl Budget {
    /// The most budgets of an account.
    pub const COUNT_MAX: usize = 32;
    /// The most thresholds of a budget.
    pub const THRESHOLDS_MAX: usize = 16;
    /// The highest threshold, in percent.
    pub const PERCENT_MAX: u16 = 1_000;

    /// A budget for the meter `spend`, with one alert at 100 %.
    pub fn new(
        id: impl Into<String>,
        window: Period,
        limit: Amount,
        unit: impl Into<String>,
    ) -> Self {
        Self {
            id: id.into(),
            meter: spend(),
            unit: unit.into(),
            window,
            limit,
            thresholds: vec![100],
        }
    }

    /// Sets the meter; `spend` by default.
    #[must_use]
    pub fn with_meter(mut self, meter: impl Into<String>) -> Self {
        self.meter = meter.into();
        self
    }

    /// Sets the percentages of the limit at which alerts are due; 100 by default.
    #[must_use]
    pub fn with_thresholds(mut self, thresholds: impl IntoIterator<Item = u16>) -> Self {
        self.thresholds = thresholds.into_iter().collect();
        self
    }

    /// Checks an account's budgets, and sorts the thresholds of each.
    ///
    /// # Errors
    /// `too_many_budgets`, `invalid_budget`.
    pub(crate) fn check_all(budgets: &mut [Self]) -> Result<(), Invalid> {
        if budgets.len() > Self::COUNT_MAX {
            let message = "an account has at most 32 budgets";
            return Err(Invalid::new("too_many_budgets", message));
        }
        let mut ids = HashSet::new();
        for budget in budgets {
            budget.check()?;
            if !ids.insert(budget.id.as_str()) {
                return Err(invalid(format_args!("two have the id {:?}", budget.id)));
            }
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), Invalid> {
        const CODE: &str = "invalid_budget";
        check_name(&self.id, CODE, "a budget's id")?;
        check_symbol(&self.unit, Event::UNIT_CHARS_MAX, CODE, "a budget's unit")?;
        check_symbol(
            &self.meter,
            Event::METER_CHARS_MAX,
            CODE,
            "a budget's meter",
        )?;
        if self.limit <= Amount::ZERO || !self.limit.is_event_sized() {
            return Err(invalid(
                "a limit is above zero, with at most 15 integer digits",
            ));
        }
        self.thresholds.sort_unstable();
        let count = self.thresholds.len();
        self.thresholds.dedup();
        let is_valid = |percent: &u16| (1..=Self::PERCENT_MAX).contains(percent);
        if self.thresholds.len() < count || !(1..=Self::THRESHOLDS_MAX).contains(&count) {
            return Err(invalid("a budget has 1 to 16 thresholds, all different"));
        }
        if !self.thresholds.iter().all(is_valid) {
            return Err(invalid("thresholds are whole percentages from 1 to 1000"));
        }
        Ok(())
    }

    /// Whether `spent` is at least `threshold` percent of the limit.
    pub(crate) fn is_reached(&self, threshold: u16, spent: Amount) -> bool {
        // A limit has at most 24 digits in 10⁻⁹, so its product with a percentage fits.
        let due = self.limit.nanos() * i128::from(threshold);
        let rounded_up = due / 100 + i128::from(due % 100 > 0);
        spent.nanos() >= rounded_up
    }

    /// Whether `other` differs at most in its thresholds. Then what has fired stays fired.
    pub(crate) fn is_armed_like(&self, other: &Self) -> bool {
        self.id == other.id
            && self.meter == other.meter
            && self.unit == other.unit
            && self.window == other.window
            && self.limit == other.limit
    }
}

fn spend() -> String {
    "spend".to_owned()
}

fn invalid(why: impl fmt::Display) -> Invalid {
    Invalid::new(
        "invalid_budget",
        format!("the budgets are not valid: {why}"),
    )
}
