use std::{iter, sync::Arc, thread};

use jiff::Timestamp;
use tokio::sync::watch;

use super::{
    clock::LedgerTime,
    heads::{Head, Heads},
    message::{MessageBuilder, Origin},
};
use crate::{
    domain::{Account, Epoch, Position},
    ledger::{AccountCommit, CommitListener},
};

/// Tells the subscriptions what the writer committed.
pub(super) struct Announcer {
    pub(super) epoch: Epoch,
    pub(super) time: Arc<LedgerTime>,
    pub(super) heads: Arc<Heads>,
    pub(super) poison: watch::Sender<bool>,
}

impl CommitListener for Announcer {
    fn now(&self) -> Timestamp {
        self.time.now()
    }

    fn committed<'a>(&self, moved: impl Iterator<Item = AccountCommit<'a>>, at: Timestamp) {
        self.time.not_before(at);
        let mut moved = moved
            .filter_map(|moved| self.advance(&moved, at))
            .peekable();
        let Some(first) = moved.next() else { return };
        // A commit that moves one account alone is one that somebody waits for, mostly.
        if moved.peek().is_none() {
            return self.heads.fanout().carry_at_once(&first);
        }
        for head in iter::once(first).chain(moved) {
            self.heads.fanout().carry(&head);
        }
    }

    fn erased(&self, account: &Account, at: Timestamp) {
        self.time.not_before(at);
        if let Some(head) = self.heads.find(account) {
            head.erase();
            self.heads.fanout().carry(&head);
        }
    }

    fn poisoned(&self, reason: &str) {
        tracing::error!(
            reason,
            "the ledger failed: restart the server, then send unanswered events again"
        );
        self.poison.send_replace(true);
    }
}

impl Announcer {
    /// Tells those who follow an account of its new entries, if anybody does.
    fn advance(&self, moved: &AccountCommit<'_>, at: Timestamp) -> Option<Arc<Head>> {
        let AccountCommit { account, state, .. } = *moved;
        let head = self.heads.find(account)?;
        let origin = Origin {
            epoch: self.epoch,
            tag: Position::tag_of(self.epoch, account, state.generation),
            now: at,
        };
        let builder = MessageBuilder::new(account, state, origin);
        let entries = moved.entries.iter().map(|new| new.entry.clone());
        head.advance(state, builder.updates(&entries.collect::<Vec<_>>()));
        Some(head)
    }
}

impl Drop for Announcer {
    /// A writer that panics takes jobs with it whose outcome nobody knows.
    fn drop(&mut self) {
        if thread::panicking() {
            self.poisoned("the ledger's writer panicked");
        }
    }
}
