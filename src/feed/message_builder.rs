use jiff::Timestamp;
use serde_json::value::RawValue;

use super::message::{
    ENTRIES_BYTES_MAX, MESSAGE_BYTES_MAX, Message, MessageKind, Reason, Rollover, Snapshot,
    TotalsOf, Update, UpdateJson,
};
use crate::domain::{Account, AccountState, Epoch, Kind, Pair, Position, StoredEntry};

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
                message: self.update_of(page, page.iter().collect(), totals, None),
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
        let page = &entries[..count];
        self.update_of(page, page.iter().collect(), totals, None)
    }

    /// One update in place of many: of these contiguous entries it holds only the alerts, reversals and
    /// adjustments, and the number of entries left out. It ends before the first of those that does not fit.
    ///
    /// # Panics
    /// When there are no entries.
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
        Message::new(MessageKind::Update, position, &update)
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
