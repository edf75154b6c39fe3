use std::sync::Arc;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

#[cfg(feature = "schema")]
use crate::domain::AnyEntry;
use crate::domain::{Account, Budget, Position, Totals};

/// The largest message, in bytes.
pub(super) const MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// The most bytes of entries in one message, so that a slow client never waits long for one. Fewer fit
/// beside very long totals.
pub(super) const ENTRIES_BYTES_MAX: usize = 96 * 1024;

/// One message of a feed, as finished JSON: the same bytes on every transport. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Message {
    kind: MessageKind,
    position: Position,
    json: Arc<RawValue>,
}

/// The type of a message, which determines what a client does with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MessageKind {
    /// The whole state of the account: replace everything you show.
    Snapshot,
    /// Contiguous entries: add them, and replace the totals that it contains.
    Update,
    /// Replay is over; further messages are live.
    Live,
    /// A new day or month has begun: replace all totals. It has no entries.
    Rollover,
}

/// Why a snapshot was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "SnapshotReason")
)]
#[non_exhaustive]
pub enum Reason {
    /// No position was given.
    Initial,
    /// The position is of a ledger that was restored since.
    EpochChanged,
    /// The account's settings changed.
    ProfileChanged,
    /// The position is ahead of the ledger.
    Ahead,
    /// The position is too far behind to be replayed.
    TooFar,
    /// The position cannot be read, or is another account's.
    BadPosition,
}

impl Message {
    pub(super) fn live(account: &Account, position: Position) -> Self {
        let live = Live {
            r#type: MessageKind::Live,
            account,
            position,
            offset: position.offset,
        };
        Self::new(MessageKind::Live, position, &live)
    }

    pub(super) fn new(kind: MessageKind, position: Position, json: &impl Serialize) -> Self {
        let json = to_raw_value(json).expect("messages have only strings as keys");
        Self {
            kind,
            position,
            json: Arc::from(json),
        }
    }

    /// Its type: the Socket.IO event name, and the `type` in its JSON.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.kind {
            MessageKind::Snapshot => "snapshot",
            MessageKind::Update => "update",
            MessageKind::Live => "live",
            MessageKind::Rollover => "rollover",
        }
    }

    /// Its type, for a `match`.
    #[must_use]
    pub fn kind(&self) -> MessageKind {
        self.kind
    }

    /// The position of a client that has applied it.
    #[must_use]
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// The finished JSON.
    #[must_use]
    pub fn json(&self) -> &Arc<RawValue> {
        &self.json
    }

    pub(super) fn bytes(&self) -> usize {
        self.json.get().len()
    }
}

/// One finished `update` message.
#[derive(Debug)]
pub(super) struct Update {
    /// The offset of its first entry.
    pub(super) from: u64,
    pub(super) totals: TotalsOf,
    pub(super) message: Message,
}

/// Which totals an update carries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum TotalsOf {
    /// None: more updates follow.
    None,
    /// The pairs that the entries changed.
    Changed,
    /// Every pair: the client may have missed more than these entries.
    All,
}

/// The whole state of an account: replace everything you show.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Snapshot<'a> {
    /// Tells it from other messages.
    #[cfg_attr(feature = "schema", schemars(with = "String", extend("const" = "snapshot")))]
    pub(super) r#type: MessageKind,
    /// Whose feed it is of.
    pub(super) account: &'a Account,
    /// Where a client is that has applied it.
    pub(super) position: Position,
    /// The account's last entry; 0 where it has none.
    pub(super) offset: u64,
    /// Why it was sent.
    pub(super) reason: Reason,
    /// Of every meter and unit.
    pub(super) totals: Vec<Totals<'a>>,
    /// The last entries, oldest first.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<AnyEntry>"))]
    pub(super) recent: Vec<&'a RawValue>,
    /// What the customer means to stay within.
    pub(super) budgets: &'a [Budget],
    /// The IANA time zone whose days and months are counted.
    pub(super) time_zone: &'a str,
}

/// Entries `from` to `to`: add them, and replace the totals that are there.
#[derive(Serialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "Update")
)]
pub(crate) struct UpdateJson<'a> {
    /// Tells it from other messages.
    #[cfg_attr(feature = "schema", schemars(with = "String", extend("const" = "update")))]
    pub(super) r#type: MessageKind,
    /// Whose feed it is of.
    pub(super) account: &'a Account,
    /// Where a client is that has applied it.
    pub(super) position: Position,
    /// The offset of its first entry: the one after what you have.
    pub(super) from: u64,
    /// The offset of its last entry.
    pub(super) to: u64,
    /// Oldest first; where `merged` is, only alerts, reversals and adjustments.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<AnyEntry>"))]
    pub(super) entries: Vec<&'a RawValue>,
    /// Of the meters and units that changed; absent where more of a replay follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) totals: Option<Vec<Totals<'a>>>,
    /// How many entries were left out, in the mode `totals`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) merged: Option<u64>,
}

/// Replay is over: from here on it is happening now.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Live<'a> {
    /// Tells it from other messages.
    #[cfg_attr(feature = "schema", schemars(with = "String", extend("const" = "live")))]
    pub(super) r#type: MessageKind,
    /// Whose feed it is of.
    pub(super) account: &'a Account,
    /// Where a client is that has applied it.
    pub(super) position: Position,
    /// The account's last entry.
    pub(super) offset: u64,
}

/// A day or month turned: replace all totals.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Rollover<'a> {
    /// Tells it from other messages.
    #[cfg_attr(feature = "schema", schemars(with = "String", extend("const" = "rollover")))]
    pub(super) r#type: MessageKind,
    /// Whose feed it is of.
    pub(super) account: &'a Account,
    /// Where a client is that has applied it.
    pub(super) position: Position,
    /// The account's last entry.
    pub(super) offset: u64,
    /// Of every meter and unit.
    pub(super) totals: Vec<Totals<'a>>,
}
