use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::{ENTRIES_BYTES_MAX, MESSAGE_BYTES_MAX, tail::Update};
#[cfg(feature = "schema")]
use crate::domain::AnyEntry;
use crate::{
    domain::{Account, AccountState, Budget, Epoch, Kind, Pair, Position, StoredEntry, Totals},
    ledger::AccountView,
};

/// One message of a feed: finished JSON, the same bytes on every transport. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Message {
    kind: MessageKind,
    position: Position,
    json: Arc<RawValue>,
}

/// What a message means to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MessageKind {
    /// Replace everything you show.
    Snapshot,
    /// Contiguous entries: apply them.
    Update,
    /// Replay is over.
    Live,
    /// A day or month turned: no entry, new totals.
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
        message(MessageKind::Live, position, &live)
    }

    /// Its type: the Socket.IO event's name and the JSON's `type`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.kind {
            MessageKind::Snapshot => "snapshot",
            MessageKind::Update => "update",
            MessageKind::Live => "live",
            MessageKind::Rollover => "rollover",
        }
    }

    /// What it means.
    #[must_use]
    pub fn kind(&self) -> MessageKind {
        self.kind
    }

    /// Where a client is that has applied it.
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
    /// A page on the way to the account's first entry.
    pub(super) fn back(epoch: Epoch, view: AccountView) -> Self {
        Self::new(epoch, view.entries, |last| last > 1)
    }

    /// A page on the way to the account's latest entry.
    pub(super) fn forth(epoch: Epoch, view: AccountView) -> Self {
        let head = view.state.offset;
        Self::new(epoch, view.entries, |last| last < head)
    }

    /// `goes_on`: whether another page follows one that ends with this offset.
    fn new(epoch: Epoch, entries: Vec<StoredEntry>, goes_on: impl Fn(u64) -> bool) -> Self {
        let last = entries.last().map(|entry| entry.offset);
        Self {
            epoch,
            entries: entries.into_iter().map(|entry| entry.json).collect(),
            next: last.filter(|offset| goes_on(*offset)),
        }
    }

    /// The ledger history that the offsets are of.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The entries' finished JSON.
    #[must_use]
    pub fn entries(&self) -> &[Arc<RawValue>] {
        &self.entries
    }

    /// The `before`, or the `after`, of the page that follows; `None` where the account begins, or ends.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        self.next
    }
}

/// What a message is made of besides the account's state.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    pub(super) epoch: Epoch,
    pub(super) tag: u64,
    pub(super) now: Timestamp,
}

/// Makes the messages of one account at one moment.
pub(super) struct MessageBuilder<'a> {
    account: &'a Account,
    state: &'a AccountState,
    origin: Origin,
}

/// Whose totals an update carries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum TotalsOf {
    /// No one's: more updates follow.
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
    r#type: MessageKind,
    /// Whose feed it is of.
    account: &'a Account,
    /// Where a client is that has applied it.
    position: Position,
    /// The account's last entry; 0 where it has none.
    offset: u64,
    /// Why it was sent.
    reason: Reason,
    /// Of every meter and unit.
    totals: Vec<Totals<'a>>,
    /// The last entries, oldest first.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<AnyEntry>"))]
    recent: Vec<&'a RawValue>,
    /// What the customer means to stay within.
    budgets: &'a [Budget],
    /// The IANA time zone whose days and months are counted.
    time_zone: &'a str,
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
    r#type: MessageKind,
    /// Whose feed it is of.
    account: &'a Account,
    /// Where a client is that has applied it.
    position: Position,
    /// The offset of its first entry: the one after what you have.
    from: u64,
    /// The offset of its last entry.
    to: u64,
    /// Oldest first; where `merged` is, only alerts, reversals and adjustments.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<AnyEntry>"))]
    entries: Vec<&'a RawValue>,
    /// Of the meters and units that changed; absent where more of a replay follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    totals: Option<Vec<Totals<'a>>>,
    /// How many entries were left out, in the mode `totals`.
    #[serde(skip_serializing_if = "Option::is_none")]
    merged: Option<u64>,
}

/// Replay is over: from here on it is happening now.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Live<'a> {
    /// Tells it from other messages.
    #[cfg_attr(feature = "schema", schemars(with = "String", extend("const" = "live")))]
    r#type: MessageKind,
    /// Whose feed it is of.
    account: &'a Account,
    /// Where a client is that has applied it.
    position: Position,
    /// The account's last entry.
    offset: u64,
}

/// A day or month turned: replace all totals.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Rollover<'a> {
    /// Tells it from other messages.
    #[cfg_attr(feature = "schema", schemars(with = "String", extend("const" = "rollover")))]
    r#type: MessageKind,
    /// Whose feed it is of.
    account: &'a Account,
    /// Where a client is that has applied it.
    position: Position,
    /// The account's last entry.
    offset: u64,
    /// Of every meter and unit.
    totals: Vec<Totals<'a>>,
}

impl<'a> MessageBuilder<'a> {
    pub(super) fn new(account: &'a Account, state: &'a AccountState, origin: Origin) -> Self {
        Self {
            account,
            state,
            origin,
        }
    }

    /// The position of a client that has applied everything up to `offset`.
    pub(super) fn position(&self, offset: u64) -> Position {
        Position {
            epoch: self.origin.epoch,
            tag: self.origin.tag,
            offset,
            stamp: self.state.stamp(self.origin.now),
            totals_due: false,
        }
    }

    /// The whole state, with the newest of the `recent` entries that fit.
    pub(super) fn snapshot(&self, recent: &'a [StoredEntry], reason: Reason) -> Message {
        let budgets = &self.state.profile.budgets;
        let room = self.room() - serde_json::to_vec(budgets).map_or(0, |json| json.len());
        let recent = &recent[recent.len() - fitting(recent.iter().rev(), room)..];
        let position = self.position(self.state.offset);
        let snapshot = Snapshot {
            r#type: MessageKind::Snapshot,
            account: self.account,
            position,
            offset: self.state.offset,
            reason,
            totals: self.state.totals(self.origin.now, None),
            recent: raw(recent),
            budgets,
            time_zone: self.state.profile.time_zone.name(),
        };
        message(MessageKind::Snapshot, position, &snapshot)
    }

    pub(super) fn live(&self) -> Message {
        Message::live(self.account, self.position(self.state.offset))
    }

    pub(super) fn rollover(&self) -> Message {
        let position = self.position(self.state.offset);
        let rollover = Rollover {
            r#type: MessageKind::Rollover,
            account: self.account,
            position,
            offset: position.offset,
            totals: self.state.totals(self.origin.now, None),
        };
        message(MessageKind::Rollover, position, &rollover)
    }

    /// A commit's entries as the updates that subscribers share, the last one with totals.
    pub(super) fn updates(&self, entries: &'a [StoredEntry]) -> Vec<Update> {
        let mut updates = Vec::new();
        let mut rest = entries;
        while let Some(first) = rest.first() {
            let changed = match updates.is_empty() {
                true => TotalsOf::Changed,
                false => TotalsOf::All,
            };
            let (count, totals) = self.page(rest, changed);
            let (page, after) = rest.split_at(count);
            rest = after;
            updates.push(Update {
                from: first.offset,
                totals,
                message: self.update_of(page, page.iter().collect(), totals, None),
            });
        }
        updates
    }

    /// One update of the first of these contiguous entries: as many as fit, with `totals` where they
    /// reach the account's last one.
    ///
    /// # Panics
    /// When there is none.
    pub(super) fn update(&self, entries: &'a [StoredEntry], totals: TotalsOf) -> Message {
        let (count, totals) = self.page(entries, totals);
        let page = &entries[..count];
        self.update_of(page, page.iter().collect(), totals, None)
    }

    /// One update in place of many: of these contiguous entries only the alerts, reversals and
    /// adjustments, and how many were left out. It ends where those do not fit any more.
    ///
    /// # Panics
    /// When there is none.
    pub(super) fn merged(&self, entries: &'a [StoredEntry], totals: TotalsOf) -> Message {
        let is_kept = |entry: &StoredEntry| entry.header().kind != Kind::Consumption;
        let bytes_max = self.room().min(ENTRIES_BYTES_MAX);
        let mut shown = Vec::new();
        let mut bytes = 0;
        let mut count = 0;
        for entry in entries {
            if is_kept(entry) {
                bytes += entry.json.get().len() + 1;
                if bytes > bytes_max && !shown.is_empty() {
                    break;
                }
                shown.push(entry);
            }
            count += 1;
        }
        let totals = match count == entries.len() && self.is_end(entries) {
            true => totals,
            false => TotalsOf::None,
        };
        let merged = u64::try_from(count - shown.len()).expect("a usize fits");
        self.update_of(&entries[..count], shown, totals, Some(merged))
    }

    /// How many of these entries make one update, and which totals it has: `totals` beside the
    /// account's last entry, none before.
    fn page(&self, entries: &[StoredEntry], totals: TotalsOf) -> (usize, TotalsOf) {
        let count = fitting(entries.iter(), ENTRIES_BYTES_MAX);
        if count < entries.len() || !self.is_end(entries) {
            return (count, TotalsOf::None);
        }
        if fitting(entries.iter(), self.room()) == count {
            return (count, totals);
        }
        // The totals find no room beside them: they come with the last entry alone.
        (count - 1, TotalsOf::None)
    }

    fn is_end(&self, entries: &[StoredEntry]) -> bool {
        let last = entries.last();
        last.is_some_and(|last| last.offset == self.state.offset)
    }

    /// The bytes of entries that one message has room for beside all totals.
    fn room(&self) -> usize {
        /// The other fields, the longest account's name among them, and the commas.
        const FRAME: usize = 4 * 1024;
        MESSAGE_BYTES_MAX - FRAME - self.state.totals_bytes()
    }

    fn update_of(
        &self,
        entries: &'a [StoredEntry],
        shown: Vec<&'a StoredEntry>,
        totals: TotalsOf,
        merged: Option<u64>,
    ) -> Message {
        let (from, to) = ends(entries);
        let mut position = self.position(to);
        position.totals_due = totals == TotalsOf::None;
        let now = self.origin.now;
        let update = UpdateJson {
            r#type: MessageKind::Update,
            account: self.account,
            position,
            from,
            to,
            entries: shown.into_iter().map(|entry| &*entry.json).collect(),
            totals: match totals {
                TotalsOf::None => None,
                TotalsOf::Changed => Some(self.state.totals(now, Some(&pairs(entries)))),
                TotalsOf::All => Some(self.state.totals(now, None)),
            },
            merged,
        };
        message(MessageKind::Update, position, &update)
    }
}

fn message(kind: MessageKind, position: Position, json: &impl Serialize) -> Message {
    let json = to_raw_value(json).expect("messages have only strings as keys");
    Message {
        kind,
        position,
        json: Arc::from(json),
    }
}

fn raw(entries: &[StoredEntry]) -> Vec<&RawValue> {
    entries.iter().map(|entry| &*entry.json).collect()
}

fn ends(entries: &[StoredEntry]) -> (u64, u64) {
    let first = entries.first().expect("an update has entries");
    let last = entries.last().expect("an update has entries");
    (first.offset, last.offset)
}

/// How many of these entries fit into so many bytes; at least one.
fn fitting<'e>(entries: impl Iterator<Item = &'e StoredEntry>, bytes_max: usize) -> usize {
    let mut bytes = 0;
    let mut first = true;
    let fits = |entry: &&StoredEntry| {
        bytes += entry.json.get().len() + 1;
        std::mem::take(&mut first) || bytes <= bytes_max
    };
    entries.take_while(fits).count()
}

fn pairs(entries: &[StoredEntry]) -> Vec<Pair> {
    let mut pairs: Vec<Pair> = Vec::new();
    for entry in entries {
        let header = entry.header();
        if pairs
            .iter()
            .any(|p| p.meter == header.meter && p.unit == header.unit)
        {
            continue;
        }
        pairs.push(Pair {
            meter: header.meter.into_owned(),
            unit: header.unit.into_owned(),
        });
    }
    pairs
}
