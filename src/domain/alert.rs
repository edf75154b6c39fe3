//! Alerts: a budget's threshold writes one entry into the ledger in each window that reaches it.

use jiff::{Timestamp, civil::Date};
use serde::Serialize;

use super::{Account, Amount, Budget, Event, EventKey, Kind, Period, time::print_instant};

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

/// A threshold that is reached, and the offset of its alert.
pub(super) struct ReachedThreshold {
    pub(super) offset: u64,
    /// The first day of the budget's window.
    pub(super) start: Date,
    /// In percent.
    pub(super) threshold: u16,
    pub(super) spent: Amount,
    pub(super) total: Amount,
}

impl Alert {
    pub(super) fn new(
        account: &Account,
        budget: &Budget,
        reached: ReachedThreshold,
        now: Timestamp,
    ) -> Self {
        let recorded_at = print_instant(now);
        Self {
            offset: reached.offset,
            id: Self::id_at(reached.offset),
            source: Event::SOURCE_RESERVED,
            account: account.clone(),
            kind: Kind::Alert,
            amount: Amount::ZERO,
            unit: budget.unit.clone(),
            meter: budget.meter.clone(),
            budget: budget.id.clone(),
            window: budget.window,
            window_start: reached.start,
            threshold: reached.threshold,
            spent: reached.spent,
            limit: budget.limit,
            time: recorded_at.clone(),
            recorded_at,
            total: reached.total,
        }
    }

    /// Its id. It is made of the offset, which is unique: budgets and windows may repeat.
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
