use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

/// The one clock: the machine's, but never before the last commit, so that a clock set back neither
/// refuses events nor opens a day twice.
#[derive(Debug)]
pub(super) struct Clock {
    /// Milliseconds since 1970.
    floor: AtomicI64,
}

impl Clock {
    pub(super) fn new(floor: Timestamp) -> Self {
        Self {
            floor: AtomicI64::new(floor.as_millisecond()),
        }
    }

    /// Now, to the millisecond.
    pub(super) fn now(&self) -> Timestamp {
        let now = Timestamp::now().as_millisecond();
        let now = now.max(self.floor.load(Ordering::Relaxed));
        Timestamp::from_millisecond(now).expect("both are timestamps' milliseconds")
    }

    pub(super) fn not_before(&self, instant: Timestamp) {
        self.floor
            .fetch_max(instant.as_millisecond(), Ordering::Relaxed);
    }
}
