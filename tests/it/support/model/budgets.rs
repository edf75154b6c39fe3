//! Budgets and alerts by the contract: amounts spent are summed from the whole list of
//! entries, and fired alerts are looked up in the whole list of alerts.

use jiff::{Timestamp, civil::Date};
use serde_json::{Value, json};

use crate::support::model::{Content, Decimal, Model, ModelEntry};

#[derive(Debug, Clone)]
pub(crate) struct ModelBudget {
    pub(crate) id: String,
    pub(crate) pair: (String, String),
    pub(crate) is_monthly: bool,
    pub(crate) limit: Decimal,
    /// Ascending.
    pub(crate) thresholds: Vec<u16>,
}

impl ModelBudget {
    fn window(&self) -> &'static str {
        if self.is_monthly { "month" } else { "day" }
    }

    fn is_alike(&self, other: &Self) -> bool {
        let parts = |budget: &Self| (budget.pair.clone(), budget.is_monthly, budget.limit);
        self.id == other.id && parts(self) == parts(other)
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "id": self.id, "meter": self.pair.0, "unit": self.pair.1, "window": self.window(),
            "limit": self.limit.print(), "thresholds": self.thresholds,
        })
    }
}

impl Model {
    /// Alerts stay fired for budgets that did not change.
    pub(crate) fn set_budgets(&mut self, budgets: Vec<ModelBudget>) {
        let before = std::mem::replace(&mut self.budgets, budgets);
        let is_kept = |id: &String| {
            let was = before.iter().find(|budget| budget.id == *id);
            was.is_some_and(|was| self.budgets.iter().any(|is| is.is_alike(was)))
        };
        self.fired.retain(|(id, ..)| is_kept(id));
    }

    /// Appends the alerts that are due after an entry recorded at `now`.
    pub(crate) fn fire(&mut self, now: Timestamp) {
        for budget in self.budgets.clone() {
            let today = self.date(now);
            let start = match budget.is_monthly {
                true => today.first_of_month(),
                false => today,
            };
            let spent = Decimal::sum(self.spent_since(&budget, start));
            for threshold in &budget.thresholds {
                let fired = (budget.id.clone(), start, *threshold);
                let due = budget.limit.nanos * i128::from(*threshold);
                if spent.nanos * 100 >= due && !self.fired.contains(&fired) {
                    self.fired.push(fired);
                    self.alert(&budget, start, *threshold, spent, now);
                }
            }
        }
    }

    /// The amounts in today's window, which begins at `start`.
    fn spent_since(&self, budget: &ModelBudget, start: Date) -> impl Iterator<Item = Decimal> {
        let end = match budget.is_monthly {
            true => start.last_of_month(),
            false => start,
        };
        let of_pair = move |entry: &&ModelEntry| {
            entry.alert.is_none() && entry.pair == budget.pair && {
                let date = self.date(entry.happened);
                start <= date && date <= end
            }
        };
        self.entries
            .iter()
            .filter(of_pair)
            .map(|entry| entry.amount)
    }

    fn alert(
        &mut self,
        budget: &ModelBudget,
        start: Date,
        percent: u16,
        spent: Decimal,
        now: Timestamp,
    ) {
        let of_pair = |entry: &&ModelEntry| entry.pair == budget.pair;
        let terms = self
            .entries
            .iter()
            .filter(of_pair)
            .map(|entry| entry.amount);
        let total = Decimal::sum(terms).print();
        let id = format!("alert-{}", self.head() + 1);
        self.entries.push(ModelEntry {
            key: ("tallycast".to_owned(), id),
            sent: Content::of_kind("alert"),
            amount: Decimal::default(),
            count: 0,
            pair: budget.pair.clone(),
            category: None,
            happened: now,
            recorded: now,
            total,
            alert: Some(json!({
                "budget": budget.id, "window": budget.window(), "window_start": start.to_string(),
                "threshold": percent, "spent": spent.print(), "limit": budget.limit.print(),
            })),
        });
    }
}
