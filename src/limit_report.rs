use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often at most one limit is logged: often enough to be seen, and too rarely for a flood to fill a disk.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Reports that a limit has turned somebody away: each time in the metrics, and at most once a minute in the log.
#[derive(Debug)]
pub(crate) struct LimitReport {
    /// The limit's name in the configuration.
    name: &'static str,
    /// What has happened, and how to raise the limit.
    message: &'static str,
    logged_at: Mutex<Option<Instant>>,
}

impl LimitReport {
    pub(crate) const fn new(name: &'static str, message: &'static str) -> Self {
        Self {
            name,
            message,
            logged_at: Mutex::new(None),
        }
    }

    /// Counts one that was turned away because of `max`.
    pub(crate) fn turned_away(&self, max: usize) {
        metrics::counter!("tallycast_limited_total", "limit" => self.name).increment(1);
        let mut logged_at = self
            .logged_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if logged_at.is_none_or(|logged_at| logged_at.elapsed() >= LOG_INTERVAL) {
            *logged_at = Some(Instant::now());
            tracing::warn!(limit = self.name, max, "{}", self.message);
        }
    }
}
