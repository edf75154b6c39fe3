//! Letting everyone go before the server stops.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{task::JoinSet, time::Instant};

use super::{
    chance,
    farewell::Farewell,
    limits::{CLOSE_GRACE, FAREWELL_TIMEOUT},
    session::Session,
    sessions::Sessions,
};

/// The pause between two batches: short enough that a batch is small.
const BATCH_PAUSE: Duration = Duration::from_millis(50);

/// Closes all sessions over `period`, in batches at uneven moments, so that their clients do not
/// come back all at once. Returns when the last is closed, shortly after `period` at the latest.
pub(super) async fn run(sessions: &Arc<Sessions>, period: Duration) {
    let leaving = sessions.begin_drain();
    let start = Instant::now();
    // What a session needs to say goodbye has to fit into the period.
    let spread = period.saturating_sub(FAREWELL_TIMEOUT + CLOSE_GRACE);
    let batches = (spread.as_millis() / BATCH_PAUSE.as_millis()).max(1);
    let batches = usize::try_from(batches).unwrap_or(usize::MAX);
    let mut closing = JoinSet::new();
    for batch in leaving.chunks(leaving.len().div_ceil(batches).max(1)) {
        for session in batch {
            closing.spawn(goodbye(session.clone()));
        }
        let left = spread.saturating_sub(start.elapsed());
        tokio::time::sleep(jittered(BATCH_PAUSE).min(left)).await;
    }
    closing.join_all().await;
}

/// Tells one client, closes its transport, and cuts it if it does not go.
async fn goodbye(session: Weak<Session>) {
    let Some(session) = session.upgrade() else {
        return;
    };
    session.end(Farewell::Shutdown);
    if session.has_feed() && session.closed_within(FAREWELL_TIMEOUT).await {
        return;
    }
    session.close(Farewell::Shutdown.close_code());
    if !session.closed_within(CLOSE_GRACE).await {
        session.kill();
    }
}

/// Between half and one and a half of `pause`.
fn jittered(pause: Duration) -> Duration {
    pause / 2 + pause.mul_f64(chance())
}
