use std::sync::Arc;

use tokio::time::{Instant, sleep, sleep_until};

use super::Session;
use crate::{
    deadline::LAST_LOOK,
    transport::{limits::Timing, websocket::CloseCode},
};

/// Ends a polling session, unless it is upgraded, once no request of its client has come for as long as a client may
/// take to answer a ping. A poll is a sign of the client until it is answered, which the next ping does.
pub(crate) fn watch_polling<T: Send + Sync + 'static>(session: &Arc<Session<T>>, timing: Timing) {
    let flow = Arc::clone(&session.flow);
    let session = Arc::downgrade(session);
    let watching = async move {
        let mut due = Instant::now() + timing.ping_timeout;
        loop {
            sleep_until(due).await;
            let silent_since = {
                let Some(session) = session.upgrade() else {
                    return;
                };
                if session.connection().is_some() {
                    return;
                }
                session.polling.silent_since()
            };
            let now = Instant::now();
            due = silent_since.unwrap_or(now) + timing.ping_timeout;
            if due > now {
                continue;
            }
            sleep(LAST_LOOK).await;
            let Some(session) = session.upgrade() else {
                return;
            };
            if session.polling.silent_since() == silent_since {
                session.close(CloseCode::Policy);
                return;
            }
        }
    };
    // Detached, but bounded: one per polling session, which ends with it.
    tokio::spawn(async move {
        tokio::select! {
            () = watching => {}
            _ = flow.ended() => {}
        }
    });
}
