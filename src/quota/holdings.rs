//! What clients hold at a time: sessions, subscriptions, bytes.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{client::Key, too_many::TooMany};
use crate::limit_report::LimitReport;

/// How much of one thing each client holds. Clients that hold nothing are forgotten, so its size is bounded by what is
/// held.
#[derive(Debug)]
pub(super) struct Holdings {
    max: usize,
    report: &'static LimitReport,
    held: Mutex<HashMap<Key, usize>>,
}

impl Holdings {
    pub(super) fn new(max: usize, report: &'static LimitReport) -> Self {
        Self {
            max,
            report,
            held: Mutex::default(),
        }
    }

    /// Takes `amount` for the client.
    ///
    /// # Errors
    /// If the client would hold too much. Then it holds as much as before.
    pub(super) fn take(&self, client: Key, amount: usize) -> Result<(), TooMany> {
        let mut held = self.lock();
        let already = held.get(&client).copied().unwrap_or(0);
        if amount > self.max.saturating_sub(already) {
            drop(held);
            self.report.turned_away(self.max);
            return Err(TooMany::HELD);
        }
        if amount > 0 {
            held.insert(client, already + amount);
        }
        Ok(())
    }

    pub(super) fn give_back(&self, client: Key, amount: usize) {
        if let Entry::Occupied(mut held) = self.lock().entry(client) {
            *held.get_mut() -= amount;
            if *held.get() == 0 {
                held.remove();
            }
        }
    }

    // Each change is one map operation, so a panic leaves no partial change.
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
