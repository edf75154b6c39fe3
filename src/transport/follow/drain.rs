//! Closing all connections, but not all at once.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

/// Notifies open connections that the server is shutting down, and holds the period over which they close. Cheap to
/// clone.
#[derive(Clone, Debug)]
pub(crate) struct Drain {
    begun: CancellationToken,
    spread: Arc<OnceLock<Duration>>,
}

impl Drain {
    /// Begins when `begun` is cancelled.
    pub(crate) fn new(begun: CancellationToken) -> Self {
        Self {
            begun,
            spread: Arc::default(),
        }
    }

    /// Sets the period over which connections close. It must be called before the drain begins.
    pub(crate) fn set_spread(&self, spread: Duration) {
        // Only the first drain sets it.
        let _: Result<(), Duration> = self.spread.set(spread);
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Resolves when this connection should close: at a random moment of the drain, so that clients do not all
    /// reconnect at once. Cancel-safe only before the drain begins.
    pub(super) async fn turn_to_close(self) {
        self.begun.cancelled().await;
        let spread = self.spread.get().copied().unwrap_or_default();
        tokio::time::sleep(spread.mul_f64(random_fraction())).await;
    }
}

/// A random number from 0 to 1. Without a source of randomness it is one half: then there is no jitter.
pub(crate) fn random_fraction() -> f64 {
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    f64::from(random) / f64::from(u32::MAX)
}
