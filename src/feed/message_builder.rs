use std::ops::RangeInclusive;

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::message::{
    ENTRIES_BYTES_MAX, MESSAGE_BYTES_MAX, Message, MessageKind, Reason, Rollover, Snapshot,
    TotalsOf, Update, UpdateJson,
};
use crate::domain::{Account, AccountState, EntryHeader, Epoch, Kind, Pair, Position, StoredEntry};

/// What a message needs besides the account's state.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    pub(super) epoch: Epoch,
    pub(super) tag: u64,
    pub(super) now: Timestamp,
}

/// Builds the messages of one account at one moment.
pub(super) struct MessageBuilder<'a> {
    account: &'a Account,
    state: &'a AccountState,
    origin: Origin,
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

    /// The whole state, with as many of the newest `recent` entries as fit.
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
        Message::new(MessageKind::Snapshot, position, &snapshot)
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
        Message::new(MessageKind::Rollover, position, &rollover)
    }

    /// A commit's entries as updates, which all readers share. The last one carries totals.
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
                message: self.update_page(page, totals),
            });
        }
        updates
    }

    /// One update with as many of these contiguous entries as fit. It carries `totals` if it reaches the
    /// account's last entry.
    ///
    /// # Panics
    /// When there are no entries.
    pub(super) fn update(&self, entries: &'a [StoredEntry], totals: TotalsOf) -> Message {
        let (count, totals) = self.page(entries, totals);
        self.update_page(&entries[..count], totals)
    }

    /// One update in place of many: it holds only the alerts, reversals and adjustments, and the number of entries left
    /// out. It ends before the first of those that does not fit.
    pub(super) fn merged(&self, merged: &'a MergedEntries, totals: TotalsOf) -> Message {
        let count = fitting(merged.kept.iter(), self.room());
        let shown = &merged.kept[..count];
        let to = match merged.kept.get(count) {
            Some(too_much) => too_much.offset - 1,
            None => merged.to,
        };
        let totals = match to == self.state.offset {
            true => totals,
            false => TotalsOf::None,
        };
        let left_out = to + 1 - merged.from - u64::try_from(count).expect("a usize fits");
        let pairs = merged.pairs.as_slice();
        self.update_of(merged.from..=to, shown, (totals, pairs), Some(left_out))
    }

    /// How many of these entries make one update, and its totals: `totals` with the account's last entry,
    /// none before it.
    fn page(&self, entries: &[StoredEntry], totals: TotalsOf) -> (usize, TotalsOf) {
        let count = fitting(entries.iter(), ENTRIES_BYTES_MAX);
        if count < entries.len() || !self.is_end(entries) {
            return (count, TotalsOf::None);
        }
        if fitting(entries.iter(), self.room()) == count {
            return (count, totals);
        }
        // The totals do not fit beside these entries: the last entry and the totals make an update of their own.
        (count - 1, TotalsOf::None)
    }

    fn is_end(&self, entries: &[StoredEntry]) -> bool {
        let last = entries.last();
        last.is_some_and(|last| last.offset == self.state.offset)
    }

    /// How many bytes of entries fit into one message beside all totals.
    fn room(&self) -> usize {
        /// The other fields, including the longest account id, and the commas.
        const FRAME: usize = 4 * 1024;
        MESSAGE_BYTES_MAX - FRAME - self.state.totals_bytes()
    }

    fn update_page(&self, page: &'a [StoredEntry], totals: TotalsOf) -> Message {
        let first = page.first().expect("an update has entries");
        let last = page.last().expect("an update has entries");
        let mut pairs = Vec::new();
        if totals == TotalsOf::Changed {
            add_pairs(&mut pairs, page.iter().map(StoredEntry::header));
        }
        self.update_of(first.offset..=last.offset, page, (totals, &pairs), None)
    }

    /// `totals`: which, and the pairs that changed.
    fn update_of(
        &self,
        offsets: RangeInclusive<u64>,
        shown: &'a [StoredEntry],
        (totals, pairs): (TotalsOf, &[Pair]),
        merged: Option<u64>,
    ) -> Message {
        let (from, to) = offsets.into_inner();
        let mut position = self.position(to);
        position.totals_due = totals == TotalsOf::None;
        let now = self.origin.now;
        let update = UpdateJson {
            r#type: MessageKind::Update,
            account: self.account,
            position,
            from,
            to,
            entries: raw(shown),
            totals: match totals {
                TotalsOf::None => None,
                TotalsOf::Changed => Some(self.state.totals(now, Some(pairs))),
                TotalsOf::All => Some(self.state.totals(now, None)),
            },
            merged,
        };
        Message::new(MessageKind::Update, position, &update)
    }
}

fn raw(entries: &[StoredEntry]) -> Vec<&RawValue> {
    entries.iter().map(|entry| &*entry.json).collect()
}

/// How many of these entries fit into `bytes_max` bytes; at least one if there are any.
fn fitting<'e>(entries: impl Iterator<Item = &'e StoredEntry>, bytes_max: usize) -> usize {
    let mut bytes = 0;
    let mut first = true;
    let fits = |entry: &&StoredEntry| {
        bytes += entry.json.get().len() + 1;
        std::mem::take(&mut first) || bytes <= bytes_max
    };
    entries.take_while(fits).count()
}

/// Adds the pairs of these entries that are not there yet.
fn add_pairs<'e>(pairs: &mut Vec<Pair>, headers: impl IntoIterator<Item = EntryHeader<'e>>) {
    for header in headers {
        let is_of_it = |pair: &Pair| pair.meter == header.meter && pair.unit == header.unit;
        if !pairs.iter().any(is_of_it) {
            pairs.push(Pair {
                meter: header.meter.into_owned(),
                unit: header.unit.into_owned(),
            });
        }
    }
}

/// What remains of contiguous entries that one update replaces. It is bounded, however many they are.
pub(super) struct MergedEntries {
    from: u64,
    to: u64,
    /// The alerts, reversals and adjustments.
    kept: Vec<StoredEntry>,
    kept_bytes: usize,
    pairs: Vec<Pair>,
}

impl MergedEntries {
    /// Of the entries after `offset`; without any yet.
    pub(super) fn new(offset: u64) -> Self {
        Self {
            from: offset + 1,
            to: offset,
            kept: Vec::new(),
            kept_bytes: 0,
            pairs: Vec::new(),
        }
    }

    /// The offset of the last entry.
    pub(super) fn to(&self) -> u64 {
        self.to
    }

    /// Adds the next entries. Returns whether more may be added: not if these were none, nor once those that are kept
    /// fill an update.
    pub(super) fn add(&mut self, entries: Vec<StoredEntry>) -> bool {
        let before = self.to;
        for entry in entries {
            let header = entry.header();
            let is_kept = header.kind != Kind::Consumption;
            if is_kept {
                self.kept_bytes += entry.json.get().len() + 1;
                if self.kept_bytes > ENTRIES_BYTES_MAX && !self.kept.is_empty() {
                    return false;
                }
            }
            add_pairs(&mut self.pairs, [header]);
            self.to = entry.offset;
            if is_kept {
                self.kept.push(entry);
            }
        }
        self.to > before
    }
}
