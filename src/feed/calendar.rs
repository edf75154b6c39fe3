//! The current date in every followed time zone, and the thread that updates it at midnight.
//!
//! There is one entry per time zone, however many accounts are followed in it. At midnight only the
//! subscriptions of that zone wake.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::{Timestamp, civil::Date};
use tokio::sync::watch;

use super::clock::{ClockChanged, LedgerTime};
use crate::domain::Zone;

/// The longest sleep before the clock is read again: it may have been set, or the machine may have
/// been asleep.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// The followed time zones.
#[derive(Debug)]
pub(super) struct Calendar {
    time: Arc<LedgerTime>,
    changed: Arc<ClockChanged>,
    zones: Mutex<HashMap<String, Weak<LocalDay>>>,
    is_closed: AtomicBool,
}

/// The date in one time zone; a change wakes its followers.
#[derive(Debug)]
pub(super) struct LocalDay {
    zone: Zone,
    date: watch::Sender<Date>,
    /// When the date was set, and when it ends.
    span: Mutex<DateSpan>,
}

#[derive(Debug, Clone, Copy)]
struct DateSpan {
    from: Timestamp,
    until: Timestamp,
}

impl Calendar {
    pub(super) fn new(time: Arc<LedgerTime>, changed: Arc<ClockChanged>) -> Self {
        Self {
            time,
            changed,
            zones: Mutex::default(),
            is_closed: AtomicBool::new(false),
        }
    }

    /// Follows the date of a zone.
    pub(super) fn follow(&self, zone: &Zone) -> Arc<LocalDay> {
        let mut zones = self.zones.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(day) = zones.get(zone.name()).and_then(Weak::upgrade) {
            return day;
        }
        let day = Arc::new(LocalDay::new(zone.clone(), self.time.now()));
        zones.insert(zone.name().to_owned(), Arc::downgrade(&day));
        self.changed.notify();
        day
    }

    /// Updates dates as they change, until `close`.
    pub(super) fn run(&self) {
        let mut seen = 0;
        while !self.is_closed.load(Ordering::SeqCst) {
            let next = self.update();
            let now = self.time.now();
            let sleep = next.map(|next| {
                let left = Duration::try_from(next.duration_since(now)).unwrap_or_default();
                left.clamp(Duration::from_millis(1), SLEEP_MAX)
            });
            seen = self.changed.wait(seen, sleep);
        }
    }

    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
        self.changed.notify();
    }

    /// Updates every date, and returns the instant at which the next one ends, if any zone is followed.
    fn update(&self) -> Option<Timestamp> {
        let days: Vec<Arc<LocalDay>> = {
            let mut zones = self.zones.lock().unwrap_or_else(PoisonError::into_inner);
            zones.retain(|_, day| day.strong_count() > 0);
            zones.values().filter_map(Weak::upgrade).collect()
        };
        let now = self.time.now();
        days.iter().map(|day| day.update(now)).min()
    }
}

impl LocalDay {
    fn new(zone: Zone, now: Timestamp) -> Self {
        let until = zone.date_ends_at(now);
        Self {
            date: watch::Sender::new(zone.date_of(now)),
            zone,
            span: Mutex::new(DateSpan { from: now, until }),
        }
    }

    pub(super) fn is_of(&self, zone: &Zone) -> bool {
        self.zone == *zone
    }

    pub(super) fn watch(&self) -> watch::Receiver<Date> {
        self.date.subscribe()
    }

    /// Sets the date of `now`, and returns when it ends.
    fn update(&self, now: Timestamp) -> Timestamp {
        let mut span = self.span.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back may be in an earlier date.
        if now < span.from || now >= span.until {
            *span = DateSpan {
                from: now,
                until: self.zone.date_ends_at(now),
            };
            let date = self.zone.date_of(now);
            self.date.send_if_modified(|current| {
                let is_changed = *current != date;
                *current = date;
                is_changed
            });
        }
        span.until
    }
}
