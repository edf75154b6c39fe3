use jiff::{Timestamp, civil::Date};

use super::{
    Amount, CheckedEvent, EntryHeader, Invalid, Kind, Pair,
    totals::{Sum, Term},
};

/// The entry that a reversal takes back.
#[derive(Debug, Clone)]
pub(crate) struct Original {
    /// Its place in the account.
    pub offset: u64,
    /// Whether another reversal has already taken it back.
    pub is_reversed: bool,
    pub(crate) kind: Kind,
    pub(crate) amount: Amount,
    pub(crate) meter: String,
    pub(crate) unit: String,
    pub(crate) category: Option<String>,
}

impl Original {
    pub(crate) fn new(header: &EntryHeader<'_>, is_reversed: bool) -> Self {
        Self {
            offset: header.offset,
            is_reversed,
            kind: header.kind,
            amount: header.amount,
            meter: header.meter.clone().into_owned(),
            unit: header.unit.clone().into_owned(),
            category: header.category.as_deref().map(str::to_owned),
        }
    }
}

/// What an event adds to the totals. A reversal takes it from its original.
pub(super) struct Counted {
    pub(super) sum: Sum,
    pub(super) pair: Pair,
    pub(super) category: Option<String>,
}

/// Which day an event counts in, and what it adds. It is found before the event is applied: a day that is
/// over is not in the account's state, so the caller first reads it from the ledger.
pub(crate) struct Placement {
    pub(super) counted: Counted,
    pub(super) happened: Timestamp,
    /// The local date on which it happened.
    pub(super) date: Date,
    /// The account's local date.
    pub(super) today: Date,
    /// The earliest date that is not over.
    pub(super) oldest: Date,
}

impl Placement {
    /// The day that counts this event, if that day is over.
    pub(crate) fn past_day(&self) -> Option<(Date, &Pair)> {
        (self.date < self.oldest).then_some((self.date, &self.counted.pair))
    }

    pub(super) fn term(&self) -> Term<'_> {
        Term {
            sum: self.counted.sum,
            category: self.counted.category.as_deref(),
            date: self.date,
        }
    }
}

impl Counted {
    /// # Errors
    /// `unknown_original`, `already_reversed` and `not_reversible`, for a reversal.
    pub(super) fn new(event: &CheckedEvent, original: Option<&Original>) -> Result<Self, Invalid> {
        if event.kind == Kind::Reversal {
            return Self::reversal(original);
        }
        let amount = event
            .amount
            .expect("a checked event that is no reversal has an amount");
        Ok(Self {
            sum: Sum {
                amount,
                count: i64::from(event.kind == Kind::Consumption),
            },
            pair: Pair {
                meter: event.meter.clone(),
                unit: event.unit.clone(),
            },
            category: event.category.clone(),
        })
    }

    fn reversal(original: Option<&Original>) -> Result<Self, Invalid> {
        let Some(original) = original else {
            let message = "the reversed event is not in the ledger (yet): send it, then try again";
            return Err(Invalid::new("unknown_original", message));
        };
        if original.is_reversed {
            let message = "the event was already reversed by another reversal";
            return Err(Invalid::new("already_reversed", message));
        }
        if !matches!(original.kind, Kind::Consumption | Kind::Adjustment) {
            let message =
                "only consumption and adjustments can be reversed: record the event again instead";
            return Err(Invalid::new("not_reversible", message));
        }
        let amount = original.amount.checked_neg();
        Ok(Self {
            sum: Sum {
                amount: amount.expect("an event's amount is far from the smallest number"),
                count: -i64::from(original.kind == Kind::Consumption),
            },
            pair: Pair {
                meter: original.meter.clone(),
                unit: original.unit.clone(),
            },
            category: original.category.clone(),
        })
    }
}
