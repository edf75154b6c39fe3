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
    direct_delivery::DirectDelivery,
    message::Update,
    tail::{Ahead, Tail},
    version::Version,
};
use crate::domain::{Account, AccountState, Epoch, Position};

/// The followed accounts: one topic for each, and none for any other account.
#[derive(Debug)]
pub(super) struct Topics {
    epoch: Epoch,
    topics: Mutex<HashMap<Account, Followed>>,
    created: AtomicUsize,
}

#[derive(Debug)]
struct Followed {
    topic: Arc<Topic>,
    followers: usize,
}

/// A followed account: its version, its tail, and its direct deliveries. A new version wakes its readers.
pub(super) struct Topic {
    number: usize,
    version: Mutex<Version>,
    /// It has one list of waiters. A `watch` channel would have eight, for every followed account.
    changed: Notify,
    tail: Tail,
    deliveries: Mutex<Deliveries>,
    /// Whether it waits for dispatch.
    is_due: AtomicBool,
}

/// In the order in which they were added, so that none is skipped while others are added and removed.
#[derive(Default)]
struct Deliveries {
    by_number: BTreeMap<u64, Arc<DirectDelivery>>,
    added: u64,
}

impl Topics {
    pub(super) fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            topics: Mutex::default(),
            created: AtomicUsize::new(0),
        }
    }

    /// The account's topic; the first follower creates it.
    pub(super) fn follow(&self, account: &Account) -> Arc<Topic> {
        let mut topics = self.lock();
        let followed = topics.entry(account.clone()).or_insert_with(|| Followed {
            topic: Arc::new(Topic {
                number: self.created.fetch_add(1, Ordering::Relaxed),
                version: Mutex::default(),
                changed: Notify::new(),
                tail: Tail::new(Position::tag_of(self.epoch, account, 0)),
                deliveries: Mutex::default(),
                is_due: AtomicBool::new(false),
            }),
            followers: 0,
        });
        followed.followers += 1;
        followed.topic.clone()
    }

    /// Releases a topic, once for each `follow`; the last follower removes it.
    pub(super) fn unfollow(&self, account: &Account) {
        let mut topics = self.lock();
        let Some(followed) = topics.get_mut(account) else {
            return;
        };
        followed.followers -= 1;
        if followed.followers == 0 {
            topics.remove(account);
        }
    }

    pub(super) fn find(&self, account: &Account) -> Option<Arc<Topic>> {
        self.lock()
            .get(account)
            .map(|followed| followed.topic.clone())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Account, Followed>> {
        self.topics
            .lock()
            .expect("nothing panics while it holds the lock")
    }
}

impl Topic {
    /// Stores what a commit changed, then wakes the readers.
    pub(super) fn advance(&self, state: &AccountState, updates: Vec<Update>) {
        self.tail.push(updates);
        self.set_version(|version| Version {
            offset: state.offset,
            revision: state.profile.revision,
            ..version
        });
    }

    /// Clears the tail after an erasure, then wakes the readers.
    pub(super) fn erase(&self) {
        self.tail.clear();
        self.set_version(|version| Version {
            erasures: version.erasures + 1,
            ..Version::default()
        });
    }

    fn set_version(&self, to: impl FnOnce(Version) -> Version) {
        {
            let mut version = self.locked_version();
            *version = to(*version);
        }
        self.changed.notify_waiters();
    }

    /// Waits until the version differs from `seen`. Cancel-safe.
    pub(super) async fn changed_from(&self, seen: Version) {
        loop {
            // Registered before the check, so that a change in between is noticed.
            let changed = self.changed.notified();
            if self.version() != seen {
                return;
            }
            changed.await;
        }
    }

    /// The update that continues `position`, and whether more follow it.
    pub(super) fn update_after(&self, position: &Position) -> Option<(Arc<Update>, bool)> {
        self.tail.after(position)
    }

    /// What the tail holds after a position, for one dispatch.
    pub(super) fn ahead(&self) -> Ahead<'_> {
        Ahead::new(&self.tail)
    }

    pub(super) fn version(&self) -> Version {
        *self.locked_version()
    }

    /// Its number among all topics ever created.
    pub(super) fn number(&self) -> usize {
        self.number
    }

    /// Adds a direct delivery, and returns its number.
    pub(super) fn add_delivery(&self, delivery: Arc<DirectDelivery>) -> u64 {
        let mut deliveries = self.locked_deliveries();
        deliveries.added += 1;
        let number = deliveries.added;
        deliveries.by_number.insert(number, delivery);
        number
    }

    pub(super) fn remove_delivery(&self, number: u64) {
        self.locked_deliveries().by_number.remove(&number);
    }

    pub(super) fn delivery_count(&self) -> usize {
        self.locked_deliveries().by_number.len()
    }

    /// Marks it as due for dispatch. Returns false if it already was.
    pub(super) fn mark_due(&self) -> bool {
        !self.is_due.swap(true, Ordering::AcqRel)
    }

    /// Marks it as not due at the start of its dispatch: a later commit makes it due again. A swap and not a store,
    /// so that it synchronises with the commit that found it due: the version read after this includes that commit.
    pub(super) fn clear_due(&self) {
        self.is_due.swap(false, Ordering::AcqRel);
    }

    /// At most `count` direct deliveries with a higher number than `number`, with their numbers.
    pub(super) fn deliveries_after(
        &self,
        number: u64,
        count: usize,
    ) -> Vec<(u64, Arc<DirectDelivery>)> {
        let after = (Bound::Excluded(number), Bound::Unbounded);
        let deliveries = self.locked_deliveries();
        let some = deliveries.by_number.range(after).take(count);
        some.map(|(number, delivery)| (*number, delivery.clone()))
            .collect()
    }

    fn locked_version(&self) -> MutexGuard<'_, Version> {
        self.version
            .lock()
            .expect("nothing panics while it holds the lock")
    }

    fn locked_deliveries(&self) -> MutexGuard<'_, Deliveries> {
        self.deliveries
            .lock()
            .expect("nothing panics while it holds the lock")
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topic")
            .field("version", &self.version)
            .field("tail", &self.tail)
            .finish_non_exhaustive()
    }
}
