use tokio::time::{Instant, sleep_until};

use crate::transport::limits::Timing;

/// What is due now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    /// Send a ping.
    Ping,
    /// The client did not answer the last ping in time: it is gone.
    Lost,
}

/// When to ping, and when to give up. Anything that the client sends counts as an answer.
#[derive(Debug)]
pub(super) struct Heartbeat {
    timing: Timing,
    next: Instant,
    is_waiting: bool,
}

impl Heartbeat {
    pub(super) fn new(timing: Timing) -> Self {
        Self {
            timing,
            next: Instant::now() + timing.ping_interval,
            is_waiting: false,
        }
    }

    /// The client has sent something.
    pub(super) fn received(&mut self) {
        self.is_waiting = false;
        self.next = Instant::now() + self.timing.ping_interval;
    }

    /// Resolves when something is due. Cancel-safe.
    pub(super) async fn due(&mut self) -> Beat {
        sleep_until(self.next).await;
        if self.is_waiting {
            return Beat::Lost;
        }
        self.is_waiting = true;
        self.next = Instant::now() + self.timing.ping_timeout;
        Beat::Ping
    }
}
