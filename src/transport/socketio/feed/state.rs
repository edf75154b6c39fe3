use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use super::{admission::Admission, request::RawRequest, request_queue::RequestQueue};
use crate::transport::{
    follow::CloseReason,
    socketio::{limits::REFUSALS_MAX, session::Session},
    websocket::CloseCode,
};

/// A session, with the state of its feed socket.
pub(crate) type FeedSession = Session<FeedState>;

/// What the feed keeps with a session.
#[derive(Default)]
pub(crate) struct FeedState {
    requests: Mutex<Option<Arc<RequestQueue>>>,
    admission: Mutex<Option<Box<Admission>>>,
    /// How many CONNECTs were refused.
    refusals: AtomicU32,
}

impl FeedState {
    /// Whether the session has a feed socket. Its task sends a closing message and closes on request.
    pub(crate) fn has_socket(&self) -> bool {
        let requests = self
            .requests
            .lock()
            .expect("no code panics while it holds the queue");
        requests
            .as_ref()
            .is_some_and(|requests| !requests.is_closed())
    }
}

impl Session<FeedState> {
    /// Opens the request queue of the session's feed socket, in place of an earlier one.
    pub(super) fn open_requests(&self) -> Arc<RequestQueue> {
        let requests = Arc::<RequestQueue>::default();
        let earlier = self
            .state
            .requests
            .lock()
            .expect("no code panics while it holds the queue")
            .replace(Arc::clone(&requests));
        if let Some(earlier) = earlier {
            earlier.close();
        }
        self.flow.forget_requests();
        requests
    }

    /// Queues a request. If it does not fit, the session is closed, since reading pauses long before that.
    pub(super) fn queue_request(&self, request: RawRequest) {
        let requests = self
            .state
            .requests
            .lock()
            .expect("no code panics while it holds the queue")
            .clone();
        let Some(requests) = requests else { return };
        self.flow.request_waits();
        if !requests.push(request) {
            self.request_close(CloseReason::Limit);
        }
    }

    /// Records that a request was taken from the queue.
    pub(super) fn request_taken(&self) {
        if self.flow.request_taken()
            && let Some(connection) = self.connection()
        {
            connection.wake_reader();
        }
    }

    /// Stores the admission of a socket until its CONNECT is answered.
    pub(super) fn admit(&self, admission: Admission) {
        *self
            .state
            .admission
            .lock()
            .expect("no code panics while it holds an admission") = Some(Box::new(admission));
    }

    pub(super) fn take_admission(&self) -> Option<Admission> {
        let admission = self
            .state
            .admission
            .lock()
            .expect("no code panics while it holds an admission")
            .take();
        admission.map(|admission| *admission)
    }

    /// Counts a refused CONNECT; too many close the session.
    pub(super) fn count_refusal(&self) {
        if self.state.refusals.fetch_add(1, Ordering::Relaxed) >= REFUSALS_MAX {
            self.close(CloseCode::Policy);
        }
    }
}
