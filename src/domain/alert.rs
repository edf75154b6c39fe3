//! Alerts: what a budget's threshold becomes in the ledger, once for each of its windows.

use jiff::{Timestamp, ToSpan, civil::Date};
use serde::{Deserialize, Serialize};

use super::{
    Account, AccountState, Amount, Budget, Event, EventKey, Kind, Period, Position,
    time::print_instant, window::find,
};

/// The thresholds of a budget that have fired in one window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fired {
    pub(crate) budget: String,
    pub(crate) window: Date,
    pub(crate) thresholds: Vec<u16>,
}

/// The entry that says that a budget's threshold was reached. It counts for nothing in the totals.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Alert {
    /// Its place in the account, among all entries: 1, 2, 3 … without a gap.
    pub(crate) offset: u64,
    /// An id of its own.
    pub(crate) id: String,
    /// The ledger itself.
    #[cfg_attr(feature = "schema", schemars(extend("const" = Event::SOURCE_RESERVED)))]
    pub(crate) source: &'static str,
    /// Whose budget.
    pub(crate) account: Account,
    /// Tells it from other entries.
    #[cfg_attr(feature = "schema", schemars(with = "String", extend("const" = "alert")))]
    pub(crate) kind: Kind,
    /// Nothing: it counts in no total.
    pub(crate) amount: Amount,
    /// The budget's.
    pub(crate) unit: String,
    /// The budget's.
    pub(crate) meter: String,
    /// The budget's id.
    pub(crate) budget: String,
    /// Over what time the budget is.
    pub(crate) window: Period,
    /// The first day of that day or month.
    pub(crate) window_start: Date,
    /// The part of the limit that was reached, in percent.
    pub(crate) threshold: u16,
    /// What was consumed in the window by then.
    pub(crate) spent: Amount,
    /// The budget's limit.
    pub(crate) limit: Amount,
    /// When it was reached, RFC 3339.
    pub(crate) time: String,
    /// When the ledger wrote it, RFC 3339 in UTC.
    pub(crate) recorded_at: String,
    /// The all-time total of the budget's meter and unit, as it is.
    pub(crate) total: Amount,
}

impl Alert {
    /// Its id: an offset is taken once, a budget's name or window may come again.
    pub(crate) fn id_at(offset: u64) -> String {
        format!("alert-{offset}")
    }

    pub(crate) fn key(&self) -> EventKey {
        EventKey {
            source: self.source.to_owned(),
            id: self.id.clone(),
        }
    }
}

impl AccountState {
    /// Appends the alerts that are due: each threshold that is reached in its budget's window of `today`
    /// and has not fired there.
    pub(super) fn fire(&mut self, account: &Account, today: Date, now: Timestamp) -> Vec<Alert> {
        let mut alerts = Vec::new();
        for index in 0..self.profile.budgets.len() {
            let budget = &self.profile.budgets[index];
            let start = budget.window.start(today);
            let (spent, total) = self.spent(budget, start);
            let due = budget.thresholds.iter().filter(|threshold| {
                budget.is_reached(**threshold, spent) && !self.has_fired(budget, start, **threshold)
            });
            let room = usize::try_from(Position::OFFSET_MAX - self.offset).unwrap_or(usize::MAX);
            let due: Vec<u16> = due.copied().take(room).collect();
            for threshold in due {
                self.offset += 1;
                let at = Firing {
                    offset: self.offset,
                    start,
                    threshold,
                    spent,
                    total,
                };
                let budget = &self.profile.budgets[index];
                alerts.push(alert(account, budget, at, now));
                let id = budget.id.clone();
                self.remember_fired(id, start, threshold);
            }
        }
        alerts
    }

    /// Forgets what fired of budgets that are others now but for their thresholds: they are armed anew.
    pub(super) fn disarm_changed(&mut self, budgets: &[Budget]) {
        let before = &self.profile.budgets;
        self.fired.retain(|fired| {
            let is_it = |budget: &&Budget| budget.id == fired.budget;
            let is_kept = |was: &Budget| budgets.iter().any(|is| is.is_armed_like(was));
            before.iter().find(is_it).is_some_and(is_kept)
        });
    }

    /// Forgets what fired in windows that are over wherever the account may move: nowhere on earth is
    /// the date more than two days from another's.
    pub(super) fn forget_fired(&mut self, today: Date) {
        let oldest = today.saturating_sub(2.days());
        let budgets = &self.profile.budgets;
        self.fired.retain(|fired| {
            let budget = budgets.iter().find(|budget| budget.id == fired.budget);
            budget.is_some_and(|budget| fired.window >= budget.window.start(oldest))
        });
    }

    /// What the budget's meter and unit come to, in its window and in all.
    fn spent(&self, budget: &Budget, start: Date) -> (Amount, Amount) {
        let Ok(index) = self.index_of(&budget.meter, &budget.unit) else {
            return (Amount::ZERO, Amount::ZERO);
        };
        let totals = &self.pairs[index];
        let windows = match budget.window {
            Period::Day => &totals.days,
            Period::Month => &totals.months,
        };
        let spent = find(windows, start).map_or(Amount::ZERO, |window| window.sums.sum.amount);
        (spent, totals.all.amount)
    }

    fn has_fired(&self, budget: &Budget, start: Date, threshold: u16) -> bool {
        let is_it = |fired: &Fired| fired.budget == budget.id && fired.window == start;
        let mut fired = self.fired.iter().filter(|fired| is_it(fired));
        fired.any(|fired| fired.thresholds.contains(&threshold))
    }

    fn remember_fired(&mut self, budget: String, window: Date, threshold: u16) {
        let is_it = |fired: &&mut Fired| fired.budget == budget && fired.window == window;
        match self.fired.iter_mut().find(is_it) {
            Some(fired) => fired.thresholds.push(threshold),
            None => self.fired.push(Fired {
                budget,
                window,
                thresholds: vec![threshold],
            }),
        }
    }
}

/// Which threshold fires, and where.
struct Firing {
    offset: u64,
    start: Date,
    threshold: u16,
    spent: Amount,
    total: Amount,
}

fn alert(account: &Account, budget: &Budget, at: Firing, now: Timestamp) -> Alert {
    let recorded_at = print_instant(now);
    Alert {
        offset: at.offset,
        id: Alert::id_at(at.offset),
        source: Event::SOURCE_RESERVED,
        account: account.clone(),
        kind: Kind::Alert,
        amount: Amount::ZERO,
        unit: budget.unit.clone(),
        meter: budget.meter.clone(),
        budget: budget.id.clone(),
        window: budget.window,
        window_start: at.start,
        threshold: at.threshold,
        spent: at.spent,
        limit: budget.limit,
        time: recorded_at.clone(),
        recorded_at,
        total: at.total,
    }
}
