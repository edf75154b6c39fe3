use std::{
    fmt,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

/// Where the time comes from. Cheap to clone.
#[derive(Clone)]
pub struct Clock {
    read: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    bell: Arc<Bell>,
}

impl Clock {
    /// The machine's.
    #[must_use]
    pub fn system() -> Self {
        Self::new(Timestamp::now)
    }

    /// One of the caller's own. When it jumps, clients are told of the new day within a second.
    #[must_use]
    pub fn new(read: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self {
            read: Arc::new(read),
            bell: Arc::default(),
        }
    }

    /// One that stands still until its hand is moved, to the millisecond: tests move days without
    /// waiting for any.
    ///
    /// ```
    /// # use tallycast::Clock;
    /// let (clock, hand) = Clock::by_hand("2026-11-22T23:59:59Z".parse().unwrap());
    /// hand.advance(jiff::SignedDuration::from_secs(1)); // whoever follows a feed in UTC learns of it
    /// # drop(clock);
    /// ```
    #[must_use]
    pub fn by_hand(start: Timestamp) -> (Self, ClockHand) {
        let millis = Arc::new(AtomicI64::new(start.as_millisecond()));
        let read = {
            let millis = millis.clone();
            move || to_timestamp(millis.load(Ordering::SeqCst))
        };
        let clock = Self::new(read);
        let bell = clock.bell.clone();
        (clock, ClockHand { millis, bell })
    }

    pub(super) fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").finish_non_exhaustive()
    }
}

/// What moves a clock that was made [`by_hand`](Clock::by_hand). Cheap to clone.
#[derive(Debug, Clone)]
pub struct ClockHand {
    millis: Arc<AtomicI64>,
    bell: Arc<Bell>,
}

impl ClockHand {
    /// Moves it by `time`, which may be negative. Whole milliseconds count.
    pub fn advance(&self, time: SignedDuration) {
        let millis = i64::try_from(time.as_millis()).unwrap_or(0);
        self.millis.fetch_add(millis, Ordering::SeqCst);
        self.bell.ring();
    }

    /// Sets it.
    pub fn set(&self, now: Timestamp) {
        self.millis.store(now.as_millisecond(), Ordering::SeqCst);
        self.bell.ring();
    }
}

/// Wakes the thread that waits for days to turn.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rings: Mutex<u64>,
    rung: Condvar,
}

impl Bell {
    pub(super) fn ring(&self) {
        *self.rings.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.rung.notify_all();
    }

    /// Waits until it rings again after `heard`, at most so long; how often it has rung.
    pub(super) fn wait(&self, heard: u64, timeout: Option<Duration>) -> u64 {
        let rings = self.rings.lock().unwrap_or_else(PoisonError::into_inner);
        let is_silent = |rings: &mut u64| *rings == heard;
        let rings = match timeout {
            Some(timeout) => {
                let waited = self.rung.wait_timeout_while(rings, timeout, is_silent);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => self
                .rung
                .wait_while(rings, is_silent)
                .unwrap_or_else(PoisonError::into_inner),
        };
        *rings
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
