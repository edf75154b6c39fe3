use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::sync::watch;

use super::tail::{Tail, Update};
use crate::domain::{Account, AccountState, Epoch, Position};

/// The accounts that somebody follows. It holds one head per watched account, and none else.
#[derive(Debug)]
pub(super) struct Heads {
    epoch: Epoch,
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
    /// How often the account was erased while it was watched.
    pub(super) erasures: u32,
}

impl Heads {
    pub(super) fn new(epoch: Epoch) -> Self {
        let heads = Mutex::default();
        Self { epoch, heads }
    }

    /// The account's head; the first to ask creates it.
    pub(super) fn watch(&self, account: &Account) -> Arc<Head> {
        let mut heads = self.lock();
        let watched = heads.entry(account.clone()).or_insert_with(|| Watched {
            head: Arc::new(Head {
                mark: watch::Sender::new(Mark::default()),
                tail: Mutex::new(Tail::new(Position::tag_of(self.epoch, account, 0))),
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
        self.mark.send_modify(|mark| {
            mark.offset = state.offset;
            mark.revision = state.profile.revision;
        });
    }

    /// The account was removed: what the tail holds is nobody's any more.
    pub(super) fn erase(&self) {
        self.tail().clear();
        self.mark.send_modify(|mark| {
            *mark = Mark {
                erasures: mark.erasures + 1,
                ..Mark::default()
            };
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
