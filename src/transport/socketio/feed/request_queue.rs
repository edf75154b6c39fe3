//! The requests of one feed socket: bounded, in order.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard},
};

use tokio::sync::Notify;

use super::request::RawRequest;
use crate::transport::socketio::{connection::wait_until, limits::REQUESTS_MAX};

/// The requests of one feed socket that wait to be answered. Unlike a channel it holds no memory while it is empty,
/// which is most of the time.
#[derive(Default)]
pub(super) struct RequestQueue {
    state: Mutex<QueueState>,
    changed: Notify,
}

#[derive(Default)]
struct QueueState {
    requests: VecDeque<RawRequest>,
    is_closed: bool,
}

impl RequestQueue {
    /// Adds a request. Returns false if the queue is full or closed.
    pub(super) fn push(&self, request: RawRequest) -> bool {
        let mut state = self.lock();
        if state.is_closed || state.requests.len() >= REQUESTS_MAX {
            return false;
        }
        state.requests.push_back(request);
        drop(state);
        self.changed.notify_waiters();
        true
    }

    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.requests = VecDeque::new();
        drop(state);
        self.changed.notify_waiters();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// Takes the oldest request; waits for one. Cancel-safe.
    pub(super) async fn take(&self) -> RawRequest {
        wait_until(&self.changed, || self.lock().take()).await
    }

    /// Waits until it is closed. Cancel-safe.
    pub(super) async fn closed(&self) {
        wait_until(&self.changed, || self.is_closed().then_some(())).await;
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state
            .lock()
            .expect("no code panics while it holds a queue")
    }
}

impl QueueState {
    fn take(&mut self) -> Option<RawRequest> {
        let request = self.requests.pop_front();
        if self.requests.is_empty() {
            self.requests = VecDeque::new();
        }
        request
    }
}
