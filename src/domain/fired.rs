use jiff::{ToSpan, civil::Date};
use serde::{Deserialize, Serialize};

use super::Budget;

/// The alerts that an account has had, so that none comes twice.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct FiredThresholds(Vec<FiredWindow>);

/// The thresholds of a budget that have fired in one window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct FiredWindow {
    budget: String,
    window: Date,
    thresholds: Vec<u16>,
}

impl FiredThresholds {
    /// The number of windows in which a budget has fired.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this threshold has fired in the window that begins at `start`.
    pub(super) fn contains(&self, budget: &Budget, start: Date, threshold: u16) -> bool {
        let is_it = |fired: &FiredWindow| fired.budget == budget.id && fired.window == start;
        let mut fired = self.0.iter().filter(|fired| is_it(fired));
        fired.any(|fired| fired.thresholds.contains(&threshold))
    }

    pub(super) fn insert(&mut self, budget: String, window: Date, threshold: u16) {
        let is_it = |fired: &&mut FiredWindow| fired.budget == budget && fired.window == window;
        match self.0.iter_mut().find(is_it) {
            Some(fired) => fired.thresholds.push(threshold),
            None => self.0.push(FiredWindow {
                budget,
                window,
                thresholds: vec![threshold],
            }),
        }
    }

    /// Re-arms the budgets that an edit changes in more than their thresholds.
    pub(super) fn rearm_changed(&mut self, before: &[Budget], after: &[Budget]) {
        self.0.retain(|fired| {
            let is_it = |budget: &&Budget| budget.id == fired.budget;
            let is_kept = |was: &Budget| after.iter().any(|is| is.is_armed_like(was));
            before.iter().find(is_it).is_some_and(is_kept)
        });
    }

    /// Drops the windows that have ended in every time zone the account may move to: dates on earth
    /// differ by at most two days.
    pub(super) fn drop_ended(&mut self, budgets: &[Budget], today: Date) {
        let oldest = today.saturating_sub(2.days());
        self.0.retain(|fired| {
            let budget = budgets.iter().find(|budget| budget.id == fired.budget);
            budget.is_some_and(|budget| fired.window >= budget.window.start(oldest))
        });
    }
}
