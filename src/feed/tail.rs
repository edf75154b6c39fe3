use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
};

use super::{
    batch::Batch,
    message::{Message, TotalsOf, Update},
};
use crate::domain::Position;

/// The last updates of one followed account, encoded once and shared by all its readers.
///
/// It is only a cache: a reader that does not find its update here reads the ledger.
#[derive(Debug)]
pub(super) struct Tail(Mutex<Updates>);

#[derive(Debug)]
struct Updates {
    updates: VecDeque<Arc<Update>>,
    bytes: usize,
    /// The tag of positions in the account before its first entry.
    absent_tag: u64,
}

impl Tail {
    pub(super) fn new(absent_tag: u64) -> Self {
        Self(Mutex::new(Updates {
            updates: VecDeque::new(),
            bytes: 0,
            absent_tag,
        }))
    }

    pub(super) fn push(&self, updates: Vec<Update>) {
        self.lock().push(updates);
    }

    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    /// The update that continues `position`, and whether more follow it.
    pub(super) fn after(&self, position: &Position) -> Option<(Arc<Update>, bool)> {
        self.lock().after(position)
    }

    fn batch_after(&self, position: &Position) -> Option<Batch> {
        Batch::new(self.lock().some_after(position))
    }

    fn lock(&self) -> MutexGuard<'_, Updates> {
        self.0
            .lock()
            .expect("nothing panics while it holds the lock")
    }
}

impl Updates {
    /// The most updates and bytes that one account keeps: a reader that is further behind than a few
    /// messages is no longer live.
    const UPDATES_MAX: usize = 32;
    const BYTES_MAX: usize = 256 * 1024;
    /// A batch ends once it reaches this size. It bounds the memory of a slow client, except
    /// for one more message.
    const BATCH_BYTES: usize = 64 * 1024;

    fn clear(&mut self) {
        self.updates.clear();
        self.bytes = 0;
    }

    fn push(&mut self, updates: Vec<Update>) {
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

    /// Consecutive updates that continue `position`, as many as make one batch.
    fn some_after(&self, position: &Position) -> Vec<Message> {
        let mut position = *position;
        let (mut messages, mut bytes) = (Vec::new(), 0);
        while bytes < Self::BATCH_BYTES
            && let Some((update, _)) = self.after(&position)
        {
            position = *update.message.position();
            bytes += update.message.bytes();
            messages.push(update.message.clone());
        }
        messages
    }

    /// The update that continues `position` and has the same day, profile and generation; with it,
    /// whether more updates follow.
    fn after(&self, position: &Position) -> Option<(Arc<Update>, bool)> {
        let continues = |update: &&Arc<Update>| update.from == position.offset + 1;
        let index = self.updates.iter().position(|update| continues(&update))?;
        let update = &self.updates[index];
        let next = update.message.position();
        let continues = next.tag == position.tag || position.is_of_absent(self.absent_tag);
        let same = next.stamp == position.stamp && continues;
        // A reader that lacks the totals of earlier entries needs all pairs, not only the changed ones.
        let whole = !position.totals_due || update.totals != TotalsOf::Changed;
        (same && whole).then(|| (update.clone(), index + 1 < self.updates.len()))
    }
}

/// The updates after a position. Most direct deliveries of an account are at the same position, so the
/// last answer is cached.
pub(super) struct Ahead<'a> {
    tail: &'a Tail,
    from: Option<Position>,
    batch: Option<Batch>,
}

impl<'a> Ahead<'a> {
    pub(super) fn new(tail: &'a Tail) -> Self {
        Self {
            tail,
            from: None,
            batch: None,
        }
    }

    pub(super) fn of(&mut self, position: Position) -> Option<&Batch> {
        if self.from != Some(position) {
            self.from = Some(position);
            self.batch = self.tail.batch_after(&position);
        }
        self.batch.as_ref()
    }
}
