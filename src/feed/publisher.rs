use std::{iter, sync::Arc, thread};

use jiff::Timestamp;
use tokio::sync::watch;

use super::{
    clock::LedgerTime,
    fanout::Fanout,
    message_builder::{MessageBuilder, Origin},
    topics::{Topic, Topics},
};
use crate::{
    domain::{Account, Epoch, Position},
    ledger::{AccountCommit, CommitListener},
};

/// Publishes commits to the subscriptions. It runs on the ledger's writer thread.
pub(super) struct Publisher {
    pub(super) epoch: Epoch,
    pub(super) time: Arc<LedgerTime>,
    pub(super) topics: Arc<Topics>,
    pub(super) fanout: Arc<Fanout>,
    pub(super) poison: watch::Sender<bool>,
}

impl CommitListener for Publisher {
    fn now(&self) -> Timestamp {
        self.time.now()
    }

    fn committed<'a>(&self, accounts: impl Iterator<Item = AccountCommit<'a>>, at: Timestamp) {
        self.time.not_before(at);
        let mut topics = accounts
            .filter_map(|commit| self.advance(&commit, at))
            .peekable();
        let Some(first) = topics.next() else { return };
        // With only one account in the commit, the load is low, and latency matters more than throughput.
        if topics.peek().is_none() {
            return self.fanout.dispatch_inline(&first);
        }
        for topic in iter::once(first).chain(topics) {
            self.fanout.dispatch(&topic);
        }
    }

    fn erased(&self, account: &Account, at: Timestamp) {
        self.time.not_before(at);
        if let Some(topic) = self.topics.find(account) {
            topic.erase();
            self.fanout.dispatch(&topic);
        }
    }

    fn revoked(&self, at: Timestamp) {
        self.time.not_before(at);
    }

    fn poisoned(&self, reason: &str) {
        tracing::error!(
            reason,
            "the ledger failed: restart the server, then send unanswered events again"
        );
        self.poison.send_replace(true);
    }
}

impl Publisher {
    /// Advances the topic of an account past its new entries, if the account is followed.
    fn advance(&self, commit: &AccountCommit<'_>, at: Timestamp) -> Option<Arc<Topic>> {
        let AccountCommit { account, state, .. } = *commit;
        let topic = self.topics.find(account)?;
        let origin = Origin {
            epoch: self.epoch,
            tag: Position::tag_of(self.epoch, account, state.generation),
            now: at,
        };
        let builder = MessageBuilder::new(account, state, origin);
        let entries = commit.entries.iter().map(|new| new.entry.clone());
        topic.advance(state, builder.updates(&entries.collect::<Vec<_>>()));
        Some(topic)
    }
}

impl Drop for Publisher {
    /// A writer that panics leaves jobs whose outcome is unknown.
    fn drop(&mut self) {
        if thread::panicking() {
            self.poisoned("the ledger's writer panicked");
        }
    }
}
