//! Pauses between attempts to reach a server.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

/// Pauses between attempts that grow, with chance in them: clients that lost one server together must
/// not come back together.
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
    /// An attempt has succeeded.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// An attempt has failed; answers which one in a row that is, from 1 on.
    pub(super) fn failed(&mut self) -> u32 {
        self.failures = self.failures.saturating_add(1);
        self.failures
    }

    /// Waits before the next attempt: as long as was `asked` for, if anything was.
    pub(super) async fn wait(&mut self, asked: Option<Duration>) {
        let pause = asked.unwrap_or(self.next);
        self.next = (self.next * 2).min(LONGEST);
        tokio::time::sleep(pause / 2 + pause.mul_f64(chance() / 2.0)).await;
    }
}

/// From 0 to 1.
fn chance() -> f64 {
    let mut byte = [0];
    // Without randomness there is no jitter, which is bearable.
    let _ = getrandom::fill(&mut byte);
    f64::from(byte[0]) / 255.0
}
