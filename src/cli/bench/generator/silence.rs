use std::time::{Duration, Instant};

use super::error::BenchError;

/// Messages that have not arrived after this long without any other arriving are lost.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Fails once nothing has arrived for [`SILENCE_MAX`].
#[derive(Debug)]
pub(super) struct SilenceTimeout {
    received: u64,
    since: Instant,
}

impl Default for SilenceTimeout {
    fn default() -> Self {
        Self {
            received: 0,
            since: Instant::now(),
        }
    }
}

impl SilenceTimeout {
    /// `received` is a count that grows with everything that arrives.
    pub(super) fn check(
        &mut self,
        received: u64,
        missing: impl FnOnce() -> u64,
    ) -> Result<(), BenchError> {
        if received != self.received {
            self.received = received;
            self.since = Instant::now();
            return Ok(());
        }
        let waited = self.since.elapsed();
        match waited > SILENCE_MAX {
            true => Err(BenchError::Silent {
                waited,
                missing: missing(),
            }),
            false => Ok(()),
        }
    }
}
