//! How everyone leaves: not all at once.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

/// Tells connections that stay open that the server goes away, and over how long to leave. Cheap to
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

    /// Everyone leaves within `spread` from when it begins; said before that.
    pub(crate) fn set_spread(&self, spread: Duration) {
        // A second drain is the first one.
        let _: Result<(), Duration> = self.spread.set(spread);
    }

    pub(super) fn has_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Resolves when this connection should go: at a random moment of the drain, so that the clients
    /// do not come back all at once. Cancel-safe only before the drain begins.
    pub(super) async fn turn_to_leave(self) {
        self.begun.cancelled().await;
        let spread = self.spread.get().copied().unwrap_or_default();
        tokio::time::sleep(spread.mul_f64(chance())).await;
    }
}

/// From 0 to 1. Without randomness, half: then there is no jitter, which is bearable.
pub(super) fn chance() -> f64 {
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    f64::from(random) / f64::from(u32::MAX)
}
