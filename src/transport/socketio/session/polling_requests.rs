use std::sync::{Mutex, MutexGuard};

use tokio::time::Instant;

/// The polling requests of a session.
#[derive(Debug)]
pub(crate) struct PollingRequests(Mutex<RequestCount>);

#[derive(Debug)]
struct RequestCount {
    under_way: usize,
    /// When the last one came, or was answered.
    last_at: Instant,
}

/// A request under way, until dropped.
pub(crate) struct RequestUnderWay<'a>(&'a PollingRequests);

impl PollingRequests {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(RequestCount {
            under_way: 0,
            last_at: Instant::now(),
        }))
    }

    /// Counts a request.
    pub(crate) fn begin(&self) -> RequestUnderWay<'_> {
        let mut count = self.lock();
        count.under_way += 1;
        count.last_at = Instant::now();
        RequestUnderWay(self)
    }

    /// Since when there is no request; none if one is under way.
    pub(crate) fn silent_since(&self) -> Option<Instant> {
        let count = self.lock();
        (count.under_way == 0).then_some(count.last_at)
    }

    fn lock(&self) -> MutexGuard<'_, RequestCount> {
        self.0.lock().expect("no code panics while it counts")
    }
}

impl Drop for RequestUnderWay<'_> {
    fn drop(&mut self) {
        let mut count = self.0.lock();
        count.under_way -= 1;
        count.last_at = Instant::now();
    }
}
