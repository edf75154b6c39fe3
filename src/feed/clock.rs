use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use jiff::Timestamp;

/// Where the time comes from. Cheap to clone.
#[derive(Clone)]
pub struct Clock {
    read: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl Clock {
    /// The machine's.
    #[must_use]
    pub fn system() -> Self {
        Self::new(Timestamp::now)
    }

    /// One of the caller's own, such as a test that moves days in milliseconds.
    #[must_use]
    pub fn new(read: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self {
            read: Arc::new(read),
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").finish_non_exhaustive()
    }
}

/// The time by which a ledger counts: a clock's, but never before the last commit, so that a clock
/// set back neither refuses events nor opens a day twice.
#[derive(Debug)]
pub(super) struct LedgerTime {
    clock: Clock,
    /// Milliseconds since 1970.
    floor: AtomicI64,
}

impl LedgerTime {
    pub(super) fn new(clock: Clock, floor: Timestamp) -> Self {
        Self {
            clock,
            floor: AtomicI64::new(floor.as_millisecond()),
        }
    }

    /// Now, to the millisecond.
    pub(super) fn now(&self) -> Timestamp {
        let now = (self.clock.read)().as_millisecond();
        let now = now.max(self.floor.load(Ordering::Relaxed));
        Timestamp::from_millisecond(now).expect("both are timestamps' milliseconds")
    }

    pub(super) fn not_before(&self, instant: Timestamp) {
        self.floor
            .fetch_max(instant.as_millisecond(), Ordering::Relaxed);
    }
}
