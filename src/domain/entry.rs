use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

#[cfg(feature = "schema")]
use super::Alert;
use super::{
    Account, Amount, CheckedEvent, EventKey, Kind, Placement, event::ReversedKey,
    time::print_instant,
};

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

impl Entry {
    /// The entry of an event that is placed at `offset`, with the running total after it.
    pub(super) fn new(
        event: CheckedEvent,
        placement: Placement,
        offset: u64,
        total: Amount,
        now: Timestamp,
    ) -> Self {
        let Placement {
            counted, happened, ..
        } = placement;
        let EventKey { source, id } = event.key;
        let recorded_at = print_instant(now);
        let reverses = event.reverses.map(|key| {
            if key.source == source {
                ReversedKey::SameSource(key.id)
            } else {
                ReversedKey::Other(key)
            }
        });
        Self {
            offset,
            id,
            source,
            account: event.account,
            kind: event.kind,
            amount: counted.sum.amount,
            unit: counted.pair.unit,
            meter: counted.pair.meter,
            category: counted.category,
            description: event.description,
            time: event
                .time
                .map_or_else(|| recorded_at.clone(), |time| time.text().to_owned()),
            attributes: event.attributes,
            reverses,
            recorded_at,
            total,
            happened,
            count: counted.sum.count,
        }
    }
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
