//! The one way in for a feed socket's requests: bounded, inline, in order.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard},
};

use socketioxide::{
    adapter::Adapter,
    handler::{FromMessageParts, Value},
    socket::Socket,
};
use tokio::sync::Notify;

use super::{
    limits::{REQUEST_BYTES_MAX, REQUESTS_MAX},
    session::Session,
    until::until,
};

/// The requests of one feed socket that wait to be answered. Mostly none do: then, unlike a channel, it holds no
/// memory for any.
#[derive(Default)]
pub(super) struct Mailbox {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    requests: VecDeque<Request>,
    is_closed: bool,
}

impl Mailbox {
    /// Puts a request in: false where there is no room, or nobody who takes it out.
    pub(super) fn put(&self, request: Request) -> bool {
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

    /// Takes the oldest request out; waits for one. Cancel-safe.
    pub(super) async fn take(&self) -> Request {
        until(&self.changed, || self.lock().take()).await
    }

    /// Waits until it is closed. Cancel-safe.
    pub(super) async fn closed(&self) {
        until(&self.changed, || self.is_closed().then_some(())).await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no code panics while it holds a mailbox")
    }
}

impl State {
    fn take(&mut self) -> Option<Request> {
        let request = self.requests.pop_front();
        if self.requests.is_empty() {
            self.requests = VecDeque::new();
        }
        request
    }
}

/// An event from the client as it came: `["name", …]`, and the number of the ack it waits for.
///
/// It has no `Debug`: there may be a token in it.
pub(super) struct Request {
    /// `None` where it was too long to keep.
    pub(super) text: Option<Box<str>>,
    pub(super) ack: Option<i64>,
}

/// An extractor that never succeeds. Extractors run inline on the reading task and in order; a
/// handler would run in a task of its own, without either. So the request is put into the mailbox
/// here, and refusing to extract keeps the engine from spawning that task.
pub(super) enum ToMailbox {}

impl<A: Adapter> FromMessageParts<A> for ToMailbox {
    type Error = Taken;

    fn from_message_parts(
        socket: &Arc<Socket<A>>,
        value: &mut Value,
        ack: &Option<i64>,
    ) -> Result<Self, Taken> {
        let session = socket.req_parts().extensions.get::<Arc<Session>>();
        let Some(session) = session else {
            return Err(Taken);
        };
        // Copied: the text is a slice of a buffer that may be much larger.
        let text = value
            .as_str()
            .filter(|text| text.len() <= REQUEST_BYTES_MAX);
        let text = text.map(|text| text.as_str().into());
        session.ask(Request { text, ack: *ack });
        Err(Taken)
    }
}

/// The request is in the mailbox, there is nothing left to handle.
#[derive(Debug)]
pub(super) struct Taken;

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request is answered in order by its socket's task")
    }
}

impl std::error::Error for Taken {}
