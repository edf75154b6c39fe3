use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;

#[cfg(feature = "schema")]
use crate::domain::AnyEntry;
use crate::{
    domain::{Epoch, StoredEntry},
    ledger::AccountView,
};

/// One page of an account's past: newest first from `history`, oldest first from `history_after`.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(
        description = "One page of an account's past: newest first, or with `after` oldest first."
    )
)]
pub struct History {
    /// The ledger history that the offsets are of.
    epoch: Epoch,
    /// At most 200; fewer where they are very long.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<AnyEntry>"))]
    entries: Vec<Arc<RawValue>>,
    /// The `before`, or the `after`, of the page that follows; `null` where there is none.
    next: Option<u64>,
}

impl History {
    /// A page of the walk towards the account's first entry.
    pub(super) fn back(epoch: Epoch, view: AccountView) -> Self {
        Self::new(epoch, view.entries, |last| last > 1)
    }

    /// A page of the walk towards the account's latest entry.
    pub(super) fn forth(epoch: Epoch, view: AccountView) -> Self {
        let latest = view.state.offset;
        Self::new(epoch, view.entries, |last| last < latest)
    }

    /// `has_more`: whether another page follows one that ends with this offset.
    fn new(epoch: Epoch, entries: Vec<StoredEntry>, has_more: impl Fn(u64) -> bool) -> Self {
        let last = entries.last().map(|entry| entry.offset);
        Self {
            epoch,
            entries: entries.into_iter().map(|entry| entry.json).collect(),
            next: last.filter(|offset| has_more(*offset)),
        }
    }

    /// The epoch of the ledger that the offsets belong to.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The entries, each as finished JSON.
    #[must_use]
    pub fn entries(&self) -> &[Arc<RawValue>] {
        &self.entries
    }

    /// The `before` or `after` of the next page; `None` on the last one.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        self.next
    }
}
