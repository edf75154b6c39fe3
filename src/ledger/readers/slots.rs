use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::requester::Requester;

/// Bounds what each requester, and what all together, have at a time. It holds memory only for requesters that have
/// or want a slot. Whoever waits for one does so in a future of its own and takes no memory here.
#[derive(Debug)]
pub(super) struct ReadSlots {
    /// How many slots each requester has.
    each_max: usize,
    all: Arc<Semaphore>,
    requesters: Mutex<HashMap<Requester, OwnSlots>>,
}

/// The slots of one requester.
#[derive(Debug)]
struct OwnSlots {
    free: Arc<Semaphore>,
    /// How many callers have a slot or wait for one. The last one removes this from the map.
    callers: usize,
}

/// A taken slot. It is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct ReadSlot {
    _own: OwnedSemaphorePermit,
    _any: OwnedSemaphorePermit,
    _caller: SlotCaller,
}

/// A caller that has a slot or wants one.
#[derive(Debug)]
pub(super) struct SlotCaller {
    slots: Arc<ReadSlots>,
    requester: Requester,
    free: Arc<Semaphore>,
    before: usize,
}

impl ReadSlots {
    pub(super) fn new(each_max: usize, all_max: usize) -> Self {
        Self {
            each_max,
            all: Arc::new(Semaphore::new(all_max)),
            requesters: Mutex::default(),
        }
    }

    /// Registers a caller that wants a slot.
    pub(super) fn enter(self: &Arc<Self>, requester: Requester) -> SlotCaller {
        let mut requesters = self.lock();
        let own = requesters.entry(requester.clone());
        let own = own.or_insert_with(|| OwnSlots {
            free: Arc::new(Semaphore::new(self.each_max)),
            callers: 0,
        });
        own.callers += 1;
        SlotCaller {
            free: own.free.clone(),
            before: own.callers - 1,
            slots: self.clone(),
            requester,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Requester, OwnSlots>> {
        self.requesters
            .lock()
            .expect("nothing panics while it holds the lock")
    }
}

impl SlotCaller {
    /// How many other callers of its requester had a slot or wanted one when it came.
    pub(super) fn before(&self) -> usize {
        self.before
    }

    /// Takes a slot; waits for one. First come, first served among the callers of one requester. Cancel-safe.
    pub(super) async fn take(self) -> ReadSlot {
        const OPEN: &str = "the semaphores are never closed";
        let own = self.free.clone().acquire_owned().await.expect(OPEN);
        // After the requester's own slot, so that its other callers do not wait in everybody's line.
        let any = self.slots.all.clone().acquire_owned().await.expect(OPEN);
        ReadSlot {
            _own: own,
            _any: any,
            _caller: self,
        }
    }
}

impl Drop for SlotCaller {
    fn drop(&mut self) {
        let mut requesters = self.slots.lock();
        if let Some(own) = requesters.get_mut(&self.requester) {
            own.callers -= 1;
            if own.callers == 0 {
                requesters.remove(&self.requester);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, poll};

    use super::*;

    fn of(subject: &str) -> Requester {
        Requester::Subject(subject.into())
    }

    #[tokio::test]
    async fn one_requester_takes_its_own_slots_only() {
        let slots = Arc::new(ReadSlots::new(2, 3));
        let first = slots.enter(of("a")).take().await;
        let _second = slots.enter(of("a")).take().await;
        let third = slots.enter(of("a"));
        assert_eq!(third.before(), 2);
        let mut third = Box::pin(third.take());
        assert!(poll!(&mut third).is_pending(), "it has two");
        let other = slots.enter(of("b")).take().await;
        let mut last = Box::pin(slots.enter(of("c")).take());
        assert!(poll!(&mut last).is_pending(), "all together have three");
        drop(first);
        assert!(poll!(&mut third).is_pending(), "the other waits for longer");
        assert!(poll!(&mut last).is_ready());
        drop(other);
        assert!(poll!(&mut third).is_ready());
    }

    #[tokio::test]
    async fn nothing_remains_of_whoever_has_no_slot() {
        let slots = Arc::new(ReadSlots::new(1, 8));
        let first = slots.enter(of("a")).take().await;
        let mut waits = Box::pin(slots.enter(of("a")).take());
        assert!(poll!(&mut waits).is_pending());
        drop(first);
        // It has been given the slot, and does not know yet.
        drop(waits);
        assert!(slots.lock().is_empty());
        assert!(slots.enter(of("a")).take().now_or_never().is_some());
    }
}
