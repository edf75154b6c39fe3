//! Pauses between attempts to reach a server: exponential, with jitter.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

/// Growing pauses with jitter: clients that lost the same server at the same time must not all reconnect at
/// the same time.
pub(super) struct Backoff {
    next: Duration,
    failures: u32,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            next: FIRST,
            failures: 0,
        }
    }
}

impl Backoff {
    /// Call after an attempt that succeeded.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Call after an attempt that failed. Returns the number of failures in a row, starting at 1.
    pub(super) fn failed(&mut self) -> u32 {
        self.failures = self.failures.saturating_add(1);
        self.failures
    }

    /// Waits before the next attempt, for `requested` if the server named a pause.
    pub(super) async fn wait(&mut self, requested: Option<Duration>) {
        let pause = requested.unwrap_or(self.next);
        self.next = (self.next * 2).min(LONGEST);
        tokio::time::sleep(pause / 2 + pause.mul_f64(random_fraction() / 2.0)).await;
    }
}

/// From 0 to 1.
fn random_fraction() -> f64 {
    let mut byte = [0];
    // If this fails there is no jitter, which is acceptable.
    let _ = getrandom::fill(&mut byte);
    f64::from(byte[0]) / 255.0
}
