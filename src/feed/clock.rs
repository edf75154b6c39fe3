use std::{
    fmt,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

/// The source of time for a [`Feed`](super::Feed). Cheap to clone.
#[derive(Clone)]
pub struct Clock {
    read: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    changed: Arc<ClockChanged>,
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::new(Timestamp::now)
    }

    /// A clock that calls `read` for the current time. It is called often and must not block. If the time jumps to
    /// another day, clients are notified within a second.
    #[must_use]
    pub fn new(read: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self {
            read: Arc::new(read),
            changed: Arc::default(),
        }
    }

    /// A clock that only its [`ManualClock`] moves, in milliseconds. Tests use it to cross midnight without waiting.
    ///
    /// ```
    /// use tallycast::{feed::Clock, jiff::SignedDuration};
    ///
    /// let (clock, control) = Clock::manual("2026-11-22T23:59:59Z".parse().unwrap());
    /// control.advance(SignedDuration::from_secs(1)); // followers in UTC get a rollover
    /// # drop(clock);
    /// ```
    #[must_use]
    pub fn manual(start: Timestamp) -> (Self, ManualClock) {
        let millis = Arc::new(AtomicI64::new(start.as_millisecond()));
        let read = {
            let millis = millis.clone();
            move || to_timestamp(millis.load(Ordering::SeqCst))
        };
        let clock = Self::new(read);
        let changed = clock.changed.clone();
        (clock, ManualClock { millis, changed })
    }

    pub(super) fn changed(&self) -> &Arc<ClockChanged> {
        &self.changed
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").finish_non_exhaustive()
    }
}

/// Moves a clock that [`Clock::manual`] made. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ManualClock {
    millis: Arc<AtomicI64>,
    changed: Arc<ClockChanged>,
}

impl ManualClock {
    /// Moves the clock by `time`, in whole milliseconds. A negative `time` moves it back.
    pub fn advance(&self, time: SignedDuration) {
        let millis = i64::try_from(time.as_millis()).unwrap_or(0);
        self.millis.fetch_add(millis, Ordering::SeqCst);
        self.changed.notify();
    }

    /// Sets the clock to `now`, in whole milliseconds.
    pub fn set(&self, now: Timestamp) {
        self.millis.store(now.as_millisecond(), Ordering::SeqCst);
        self.changed.notify();
    }
}

/// Wakes the calendar's thread when a clock was moved or a time zone was added.
#[derive(Debug, Default)]
pub(super) struct ClockChanged {
    changes: Mutex<u64>,
    changed: Condvar,
}

impl ClockChanged {
    pub(super) fn notify(&self) {
        *self.changes.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.changed.notify_all();
    }

    /// Waits until the number of changes differs from `seen`, for at most `timeout`, and returns it.
    pub(super) fn wait(&self, seen: u64, timeout: Option<Duration>) -> u64 {
        let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let is_unchanged = |changes: &mut u64| *changes == seen;
        let changes = match timeout {
            Some(timeout) => {
                let waited = self
                    .changed
                    .wait_timeout_while(changes, timeout, is_unchanged);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => self
                .changed
                .wait_while(changes, is_unchanged)
                .unwrap_or_else(PoisonError::into_inner),
        };
        *changes
    }
}

/// The ledger's time: a clock's, but never before the last commit. So when a clock is set back, no event is
/// refused and no day starts twice.
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
        to_timestamp(now.max(self.floor.load(Ordering::Relaxed)))
    }

    pub(super) fn not_before(&self, instant: Timestamp) {
        self.floor
            .fetch_max(instant.as_millisecond(), Ordering::Relaxed);
    }
}

fn to_timestamp(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(match millis < 0 {
        true => Timestamp::MIN,
        false => Timestamp::MAX,
    })
}
