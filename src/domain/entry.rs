use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};
use serde_json::value::RawValue;

#[cfg(feature = "schema")]
use super::Alert;
use super::{Account, Amount, EventKey, Kind};

/// An event accepted into the ledger: its fields, its place, and the running total after it.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "RecordedEntry")
)]
pub(crate) struct Entry {
    /// Its place in the account: 1, 2, 3 … without a gap.
    pub offset: u64,
    /// The producer's id.
    pub id: String,
    /// The producer; absent where it gave none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// Whose consumption.
    pub account: Account,
    /// What it does to the totals.
    #[cfg_attr(feature = "schema", schemars(with = "String", extend("enum" = ["consumption", "adjustment", "reversal"])))]
    pub kind: Kind,
    /// How much, as it was sent; of a reversal the opposite of its original.
    pub amount: Amount,
    /// In what.
    pub unit: String,
    /// Of what.
    pub meter: String,
    /// On what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// A line for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When it happened, RFC 3339.
    pub time: String,
    /// Whatever the producer added.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// What a reversal takes back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reverses: Option<ReversedKey>,
    /// When the ledger took it, RFC 3339 in UTC.
    pub recorded_at: String,
    /// The all-time total of its meter and unit after it.
    pub total: Amount,
    /// The instant of `time`.
    #[serde(skip)]
    pub happened: Timestamp,
    /// What it adds to the count of consumptions: 1, 0 or −1.
    #[serde(skip)]
    pub count: i64,
}

/// What a feed and its history consist of: what a producer reported, or an alert.
#[cfg(feature = "schema")]
#[derive(schemars::JsonSchema)]
#[schemars(rename = "Entry", untagged)]
#[expect(dead_code, reason = "it describes what is stored as JSON")]
pub(crate) enum AnyEntry {
    Recorded(Entry),
    Alert(Alert),
}

/// What a reversal takes back: an id of the same source, or a whole key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(inline, untagged)
)]
pub(crate) enum ReversedKey {
    /// An event of the reversal's own source.
    SameSource(String),
    /// An event of another source.
    Other(EventKey),
}

impl Serialize for ReversedKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::SameSource(id) => serializer.serialize_str(id),
            Self::Other(key) => {
                let mut object = serializer.serialize_struct("key", 2)?;
                object.serialize_field("source", &key.source)?;
                object.serialize_field("id", &key.id)?;
                object.end()
            }
        }
    }
}

/// An entry as the ledger keeps and pushes it: finished JSON.
#[derive(Debug, Clone)]
pub struct StoredEntry {
    /// Its place in the account.
    pub offset: u64,
    /// Its JSON, never changed again.
    pub json: Arc<RawValue>,
}

/// What is read back from a stored entry's JSON.
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
