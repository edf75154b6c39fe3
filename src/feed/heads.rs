use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::sync::watch;

use super::tail::{Tail, Update};
use crate::domain::{Account, AccountState, Position};

/// The accounts that somebody follows. It holds one head per watched account, and none else.
#[derive(Debug, Default)]
pub(super) struct Heads {
    heads: Mutex<HashMap<Account, Watched>>,
}

#[derive(Debug)]
struct Watched {
    head: Arc<Head>,
    followers: usize,
}

/// How far a watched account is; moving it wakes whoever follows.
#[derive(Debug)]
pub(super) struct Head {
    mark: watch::Sender<Mark>,
    tail: Mutex<Tail>,
}

/// What a subscription compares its own position with.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Mark {
    pub(super) offset: u64,
    pub(super) revision: u32,
}

impl Heads {
    /// The account's head; the first to ask creates it.
    pub(super) fn watch(&self, account: &Account) -> Arc<Head> {
        let mut heads = self.lock();
        let watched = heads.entry(account.clone()).or_insert_with(|| Watched {
            head: Arc::new(Head {
                mark: watch::Sender::new(Mark::default()),
                tail: Mutex::default(),
            }),
            followers: 0,
        });
        watched.followers += 1;
        watched.head.clone()
    }

    /// Gives a head back, once for each `watch`; the last to leave removes it.
    pub(super) fn leave(&self, account: &Account) {
        let mut heads = self.lock();
        let Some(watched) = heads.get_mut(account) else {
            return;
        };
        watched.followers -= 1;
        if watched.followers == 0 {
            heads.remove(account);
        }
    }

    pub(super) fn find(&self, account: &Account) -> Option<Arc<Head>> {
        self.lock().get(account).map(|watched| watched.head.clone())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Account, Watched>> {
        self.heads
            .lock()
            .expect("nothing panics while it holds the lock")
    }
}

impl Head {
    /// Takes what a commit changed, then wakes the followers.
    pub(super) fn advance(&self, state: &AccountState, updates: Vec<Update>) {
        self.tail().push(updates);
        self.mark.send_replace(Mark {
            offset: state.offset,
            revision: state.profile.revision,
        });
    }

    pub(super) fn follow(&self) -> watch::Receiver<Mark> {
        self.mark.subscribe()
    }

    /// The update that continues `position`, and whether more wait behind it.
    pub(super) fn update_after(&self, position: &Position) -> Option<(Arc<Update>, bool)> {
        self.tail().after(position)
    }

    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail
            .lock()
            .expect("nothing panics while it holds the lock")
    }
}
