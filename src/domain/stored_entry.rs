use std::{borrow::Cow, sync::Arc};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Amount, Kind};

/// An entry as the ledger stores and pushes it: encoded JSON.
#[derive(Debug, Clone)]
pub struct StoredEntry {
    /// Its place in the account: 1, 2, 3 … without a gap.
    pub offset: u64,
    /// Its JSON, which never changes.
    pub json: Arc<RawValue>,
}

/// The fields that are read back from a stored entry's JSON.
#[derive(Debug, Deserialize)]
pub(crate) struct EntryHeader<'a> {
    pub(crate) offset: u64,
    pub(crate) kind: Kind,
    pub(crate) amount: Amount,
    #[serde(borrow)]
    pub(crate) meter: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) unit: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(crate) category: Option<Cow<'a, str>>,
    pub(crate) total: Amount,
}

impl StoredEntry {
    pub(crate) fn header(&self) -> EntryHeader<'_> {
        serde_json::from_str(self.json.get()).expect("the ledger wrote this JSON itself")
    }
}
