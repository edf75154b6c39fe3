use axum::extract::FromRef;
use tokio_util::task::TaskTracker;

use super::{follow::Drain, limits::Timing, push::PushQueue};
use crate::http::AppState;

/// What the handlers of open connections and of pushes share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct TransportState {
    pub(crate) app: AppState,
    pub(crate) drain: Drain,
    pub(crate) timing: Timing,
    pub(crate) pushes: PushQueue,
    /// The task of each open WebSocket, and of each stream that has taken over its connection from hyper.
    pub(crate) connections: TaskTracker,
}

impl FromRef<TransportState> for AppState {
    fn from_ref(state: &TransportState) -> Self {
        state.app.clone()
    }
}
