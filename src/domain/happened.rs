use jiff::Timestamp;

use super::{
    EntryHeader, Zone,
    totals::{Sum, Term},
};

/// An entry with the two facts that its JSON lacks and that windows are counted from.
pub(crate) struct Happened<'e> {
    pub(crate) entry: EntryHeader<'e>,
    /// What it adds to the count of consumptions: 1, 0 or −1.
    pub(crate) count: i64,
    /// When it happened.
    pub(crate) happened: Timestamp,
}

impl Happened<'_> {
    /// What it adds to the totals, with its date in `zone`.
    pub(super) fn term(&self, zone: &Zone) -> Term<'_> {
        Term {
            sum: Sum {
                amount: self.entry.amount,
                count: self.count,
            },
            category: self.entry.category.as_deref(),
            date: zone.date_of(self.happened),
        }
    }
}
