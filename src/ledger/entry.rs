use jiff::Timestamp;

use crate::domain::{Account, EventKey, Happened, Stamp, StoredEntry};

/// A new entry, with the fields by which it is found.
#[derive(Debug, Clone)]
pub struct NewEntry {
    /// The account it belongs to.
    pub account: Account,
    /// Its idempotency key.
    pub key: EventKey,
    /// The fingerprint of the event as it was sent; zeros for an alert.
    pub fingerprint: [u8; 16],
    /// The stamp of its position.
    pub stamp: Stamp,
    /// When it happened.
    pub happened: Timestamp,
    /// What it adds to the count of consumptions: 1, 0 or −1.
    pub count: i64,
    /// The offset of the entry that it reverses.
    pub reverses: Option<u64>,
    /// Its offset and JSON.
    pub entry: StoredEntry,
}

/// An event that was recorded.
#[derive(Debug, Clone)]
pub struct RecordedEvent {
    /// The fingerprint of the event as it was sent.
    pub fingerprint: [u8; 16],
    /// The stamp of its position when it was recorded.
    pub stamp: Stamp,
    /// Its entry.
    pub entry: StoredEntry,
}

/// An entry with the two facts that its JSON lacks and that windows are counted from.
#[derive(Debug)]
pub struct HappenedEntry {
    /// The entry.
    pub entry: StoredEntry,
    /// What it adds to the count of consumptions: 1, 0 or −1.
    pub count: i64,
    /// When it happened.
    pub happened: Timestamp,
}

impl HappenedEntry {
    pub(crate) fn read(&self) -> Happened<'_> {
        Happened {
            entry: self.entry.header(),
            count: self.count,
            happened: self.happened,
        }
    }
}

impl From<&NewEntry> for HappenedEntry {
    fn from(new: &NewEntry) -> Self {
        Self {
            entry: new.entry.clone(),
            count: new.count,
            happened: new.happened,
        }
    }
}

impl From<&NewEntry> for RecordedEvent {
    fn from(new: &NewEntry) -> Self {
        Self {
            fingerprint: new.fingerprint,
            stamp: new.stamp,
            entry: new.entry.clone(),
        }
    }
}
