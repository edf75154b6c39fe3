use std::{sync::Arc, thread};

use jiff::Timestamp;
use tokio::sync::watch;

use super::{
    clock::LedgerTime,
    heads::Heads,
    message::{MessageBuilder, Origin},
};
use crate::{
    domain::{Account, AccountState, Epoch, Position},
    ledger::{Listener, NewEntry},
};

/// Tells the subscriptions what the writer committed.
pub(super) struct Announcer {
    pub(super) epoch: Epoch,
    pub(super) time: Arc<LedgerTime>,
    pub(super) heads: Arc<Heads>,
    pub(super) poison: watch::Sender<bool>,
}

impl Listener for Announcer {
    fn now(&self) -> Timestamp {
        self.time.now()
    }

    fn committed(
        &self,
        account: &Account,
        state: &AccountState,
        entries: &[NewEntry],
        at: Timestamp,
    ) {
        self.time.not_before(at);
        let Some(head) = self.heads.find(account) else {
            return;
        };
        let origin = Origin {
            epoch: self.epoch,
            tag: Position::tag_of(self.epoch, account, state.generation),
            now: at,
        };
        let builder = MessageBuilder::new(account, state, origin);
        let entries: Vec<_> = entries.iter().map(|new| new.entry.clone()).collect();
        head.advance(state, builder.updates(&entries));
        self.heads.fanout().carry(&head);
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

impl Drop for Announcer {
    /// A writer that panics takes jobs with it whose outcome nobody knows.
    fn drop(&mut self) {
        if thread::panicking() {
            self.poisoned("the ledger's writer panicked");
        }
    }
}
