use std::{collections::VecDeque, sync::Arc};

use super::message::{Message, TotalsOf};
use crate::domain::Position;

/// The last updates of one watched account, finished and shared by all who follow it.
///
/// It only saves reading: whoever does not find its update here reads the ledger.
#[derive(Debug)]
pub(super) struct Tail {
    updates: VecDeque<Arc<Update>>,
    bytes: usize,
    /// The tag of positions in the account before it is first written.
    absent_tag: u64,
}

/// One finished `update` message.
#[derive(Debug)]
pub(super) struct Update {
    pub(super) from: u64,
    pub(super) totals: TotalsOf,
    pub(super) message: Message,
}

impl Tail {
    /// The most updates and bytes that one account keeps: a reader that is further behind than a
    /// few messages does not read live any more.
    const UPDATES_MAX: usize = 32;
    const BYTES_MAX: usize = 256 * 1024;
    /// What is given at once, and one message beyond: a slow client holds so much.
    const BYTES_AT_ONCE: usize = 64 * 1024;

    pub(super) fn new(absent_tag: u64) -> Self {
        Self {
            updates: VecDeque::new(),
            bytes: 0,
            absent_tag,
        }
    }

    pub(super) fn clear(&mut self) {
        self.updates.clear();
        self.bytes = 0;
    }

    pub(super) fn push(&mut self, updates: Vec<Update>) {
        for update in updates {
            self.bytes += update.message.bytes();
            self.updates.push_back(Arc::new(update));
        }
        while self.updates.len() > Self::UPDATES_MAX || self.bytes > Self::BYTES_MAX {
            let Some(oldest) = self.updates.pop_front() else {
                return;
            };
            self.bytes -= oldest.message.bytes();
        }
    }

    /// Updates that continue `position`, one after the other: as many as one connection is given at once.
    pub(super) fn some_after(&self, position: &Position) -> Vec<Message> {
        let mut position = *position;
        let (mut messages, mut bytes) = (Vec::new(), 0);
        while bytes < Self::BYTES_AT_ONCE
            && let Some((update, _)) = self.after(&position)
        {
            position = *update.message.position();
            bytes += update.message.bytes();
            messages.push(update.message.clone());
        }
        messages
    }

    /// The update that continues `position` and is of the same day, profile and history; with it,
    /// whether more wait behind it.
    pub(super) fn after(&self, position: &Position) -> Option<(Arc<Update>, bool)> {
        let continues = |update: &&Arc<Update>| update.from == position.offset + 1;
        let index = self.updates.iter().position(|update| continues(&update))?;
        let update = &self.updates[index];
        let next = update.message.position();
        let continues = next.tag == position.tag || position.is_of_absent(self.absent_tag);
        let same = next.stamp == position.stamp && continues;
        // Whoever misses the totals of earlier entries is not served with those of a few pairs.
        let whole = !position.totals_due || update.totals != TotalsOf::Changed;
        (same && whole).then(|| (update.clone(), index + 1 < self.updates.len()))
    }
}
