//! Closing all sessions before the server stops.

use std::{sync::Weak, time::Duration};

use tokio::{task::JoinSet, time::Instant};

use super::{Session, registry::Registry};
use crate::transport::{
    follow::{CloseReason, random_fraction},
    limits::{CLOSE_GRACE, CLOSING_TIMEOUT},
};

/// The pause between two batches: short enough that a batch is small.
const BATCH_PAUSE: Duration = Duration::from_millis(50);

/// Closes all sessions over `period`, in batches at uneven intervals, so that clients do not all reconnect at once.
/// Returns when the last one is closed, shortly after `period` at the latest.
///
/// `closes_itself` tells whether a session has a task that sends a closing message and closes on request.
pub(crate) async fn run<T: Send + Sync + 'static>(
    registry: &Registry<Session<T>>,
    period: Duration,
    closes_itself: fn(&T) -> bool,
) {
    let open = registry.begin_drain();
    let start = Instant::now();
    // The last session's closing message and handshake must fit into the period.
    let spread = period.saturating_sub(CLOSING_TIMEOUT + CLOSE_GRACE);
    let batches = (spread.as_millis() / BATCH_PAUSE.as_millis()).max(1);
    let batches = usize::try_from(batches).unwrap_or(usize::MAX);
    let mut closing = JoinSet::new();
    for batch in open.chunks(open.len().div_ceil(batches).max(1)) {
        for session in batch {
            closing.spawn(close(session.clone(), closes_itself));
        }
        let left = spread.saturating_sub(start.elapsed());
        tokio::time::sleep(jittered(BATCH_PAUSE).min(left)).await;
    }
    closing.join_all().await;
}

/// Notifies one client, closes its transport, and cuts it if the client does not answer.
async fn close<T>(session: Weak<Session<T>>, closes_itself: fn(&T) -> bool) {
    let Some(session) = session.upgrade() else {
        return;
    };
    session.request_close(CloseReason::Shutdown);
    if closes_itself(&session.state) && session.ended_within(CLOSING_TIMEOUT).await {
        return;
    }
    session.close(CloseReason::Shutdown.into());
    if !session.ended_within(CLOSE_GRACE).await {
        session.kill();
    }
}

/// Between half and one and a half of `pause`.
fn jittered(pause: Duration) -> Duration {
    pause / 2 + pause.mul_f64(random_fraction())
}
