use tokio::time::{Instant, sleep_until};

use crate::{deadline::LAST_LOOK, transport::limits::Timing};

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
    wait: Wait,
}

/// What follows at the next moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    Ping,
    /// A ping was sent: its answer is due.
    Answer,
    /// The answer is overdue: a [last look](crate::deadline).
    LastLook,
}

impl Heartbeat {
    pub(super) fn new(timing: Timing) -> Self {
        Self {
            timing,
            next: Instant::now() + timing.ping_interval,
            wait: Wait::Ping,
        }
    }

    /// The client has sent something.
    pub(super) fn received(&mut self) {
        self.wait = Wait::Ping;
        self.next = Instant::now() + self.timing.ping_interval;
    }

    /// Resolves when something is due. Cancel-safe.
    pub(super) async fn due(&mut self) -> Beat {
        loop {
            sleep_until(self.next).await;
            match self.wait {
                Wait::Ping => {
                    self.wait = Wait::Answer;
                    self.next = Instant::now() + self.timing.ping_timeout;
                    return Beat::Ping;
                }
                Wait::Answer => {
                    self.wait = Wait::LastLook;
                    self.next = Instant::now() + LAST_LOOK;
                }
                Wait::LastLook => return Beat::Lost,
            }
        }
    }
}
