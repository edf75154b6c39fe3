use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    ops::Bound,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tokio::sync::Notify;

use super::{
    Message,
    fanout::Fanout,
    rider::Rider,
    tail::{Tail, Update},
};
use crate::domain::{Account, AccountState, Epoch, Position};

/// The accounts that somebody follows. It holds one head per watched account, and none else.
#[derive(Debug)]
pub(super) struct Heads {
    epoch: Epoch,
    heads: Mutex<HashMap<Account, Watched>>,
    made: AtomicUsize,
    fanout: Fanout,
}

#[derive(Debug)]
struct Watched {
    head: Arc<Head>,
    followers: usize,
}

/// How far a watched account is; moving it wakes whoever follows, and carries whoever rides.
pub(super) struct Head {
    number: usize,
    mark: Mutex<Mark>,
    /// One list of waiters: a `watch` channel has eight, in each account that somebody follows.
    moved: Notify,
    tail: Mutex<Tail>,
    riders: Mutex<Riders>,
    /// Whether its riders wait to be carried.
    is_due: AtomicBool,
}

/// In the order in which they came, so that none is passed over while others come and go.
#[derive(Default)]
struct Riders {
    by_number: BTreeMap<u64, Arc<Rider>>,
    came: u64,
}

/// What a subscription compares its own position with.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Mark {
    pub(super) offset: u64,
    pub(super) revision: u32,
    /// How often the account was erased while it was watched.
    pub(super) erasures: u32,
}

impl Mark {
    /// Whether a client that is at `position` lacks something.
    pub(super) fn is_ahead_of(&self, position: &Position) -> bool {
        self.offset > position.offset || self.revision > position.stamp.revision
    }
}

impl Heads {
    pub(super) fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            heads: Mutex::default(),
            made: AtomicUsize::new(0),
            fanout: Fanout::new(),
        }
    }

    /// Who carries those who ride.
    pub(super) fn fanout(&self) -> &Fanout {
        &self.fanout
    }

    /// The account's head; the first to ask creates it.
    pub(super) fn watch(&self, account: &Account) -> Arc<Head> {
        let mut heads = self.lock();
        let watched = heads.entry(account.clone()).or_insert_with(|| Watched {
            head: Arc::new(Head {
                number: self.made.fetch_add(1, Ordering::Relaxed),
                mark: Mutex::default(),
                moved: Notify::new(),
                tail: Mutex::new(Tail::new(Position::tag_of(self.epoch, account, 0))),
                riders: Mutex::default(),
                is_due: AtomicBool::new(false),
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
        self.move_mark(|mark| Mark {
            offset: state.offset,
            revision: state.profile.revision,
            ..mark
        });
    }

    /// The account was removed: what the tail holds is nobody's any more.
    pub(super) fn erase(&self) {
        self.tail().clear();
        self.move_mark(|mark| Mark {
            erasures: mark.erasures + 1,
            ..Mark::default()
        });
    }

    fn move_mark(&self, to: impl FnOnce(Mark) -> Mark) {
        {
            let mut mark = self.locked_mark();
            *mark = to(*mark);
        }
        self.moved.notify_waiters();
    }

    /// Waits until the mark is another one than `seen`. Cancel-safe.
    pub(super) async fn moved_from(&self, seen: Mark) {
        loop {
            // Before it is looked: a move in between wakes.
            let moved = self.moved.notified();
            if self.mark() != seen {
                return;
            }
            moved.await;
        }
    }

    /// The update that continues `position`, and whether more wait behind it.
    pub(super) fn update_after(&self, position: &Position) -> Option<(Arc<Update>, bool)> {
        self.tail().after(position)
    }

    /// Updates that continue `position`, in order.
    pub(super) fn updates_after(&self, position: &Position) -> Vec<Message> {
        self.tail().some_after(position)
    }

    pub(super) fn mark(&self) -> Mark {
        *self.locked_mark()
    }

    /// Which of all heads it is.
    pub(super) fn number(&self) -> usize {
        self.number
    }

    /// Adds a rider: its number.
    pub(super) fn add_rider(&self, rider: Arc<Rider>) -> u64 {
        let mut riders = self.locked_riders();
        riders.came += 1;
        let number = riders.came;
        riders.by_number.insert(number, rider);
        number
    }

    pub(super) fn remove_rider(&self, number: u64) {
        self.locked_riders().by_number.remove(&number);
    }

    /// How many riders it has.
    pub(super) fn riders(&self) -> usize {
        self.locked_riders().by_number.len()
    }

    /// Its riders wait to be carried: false if they did already.
    pub(super) fn becomes_due(&self) -> bool {
        !self.is_due.swap(true, Ordering::AcqRel)
    }

    /// Its riders are about to be carried: what moves it from now on makes it due again. Swapped and not
    /// stored, so that whatever found it due before is seen by what reads the mark behind this.
    pub(super) fn no_longer_due(&self) {
        self.is_due.swap(false, Ordering::AcqRel);
    }

    /// At most `count` riders that came after the one of this number, with their numbers.
    pub(super) fn riders_after(&self, number: u64, count: usize) -> Vec<(u64, Arc<Rider>)> {
        let behind = (Bound::Excluded(number), Bound::Unbounded);
        let riders = self.locked_riders();
        let some = riders.by_number.range(behind).take(count);
        some.map(|(number, rider)| (*number, rider.clone()))
            .collect()
    }

    fn locked_mark(&self) -> MutexGuard<'_, Mark> {
        self.mark
            .lock()
            .expect("nothing panics while it holds the lock")
    }

    fn locked_riders(&self) -> MutexGuard<'_, Riders> {
        self.riders
            .lock()
            .expect("nothing panics while it holds the lock")
    }

    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail
            .lock()
            .expect("nothing panics while it holds the lock")
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head")
            .field("mark", &self.mark)
            .field("tail", &self.tail)
            .finish_non_exhaustive()
    }
}
