//! The registry of sessions: for finding one by its id, for draining, and for counting.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, Weak},
};

use socketioxide::socket::Sid;

use super::{engine::Engine, session::Session};

/// Our own number of a session. The engine's id is a secret of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Number(u64);

/// All sessions, known weakly: the engine decides how long they live.
pub(super) struct Sessions {
    state: Mutex<State>,
    sessions_max: usize,
}

#[derive(Default)]
struct State {
    next: u64,
    all: HashMap<Number, Weak<Session>>,
    polling: HashMap<Sid, Weak<Session>>,
    draining: bool,
}

impl Sessions {
    pub(super) fn new(sessions_max: usize) -> Self {
        Self {
            state: Mutex::default(),
            sessions_max,
        }
    }

    /// Registers a new session; `None` if there are too many, or the server is going away.
    pub(super) fn open(
        self: &Arc<Self>,
        engine: &Engine,
        bearer: Option<Box<str>>,
    ) -> Option<Arc<Session>> {
        let mut state = self.lock();
        if state.draining || state.all.len() >= self.sessions_max {
            return None;
        }
        let number = Number(state.next);
        state.next += 1;
        let session = Session::new(number, Arc::clone(self), engine.clone(), bearer);
        let session = Arc::new(session);
        state.all.insert(number, Arc::downgrade(&session));
        gauge(state.all.len());
        Some(session)
    }

    /// Makes a polling session findable by the id that the engine gave it.
    pub(super) fn name(&self, session: &Arc<Session>, sid: Sid) {
        session.set_sid(sid);
        self.lock().polling.insert(sid, Arc::downgrade(session));
    }

    pub(super) fn find(&self, sid: Sid) -> Option<Arc<Session>> {
        self.lock().polling.get(&sid)?.upgrade()
    }

    pub(super) fn forget(&self, number: Number, sid: Option<Sid>) {
        let mut state = self.lock();
        state.all.remove(&number);
        if let Some(sid) = sid {
            state.polling.remove(&sid);
        }
        gauge(state.all.len());
    }

    pub(super) fn len(&self) -> usize {
        self.lock().all.len()
    }

    /// Lets nobody in any more, and tells who is there.
    pub(super) fn begin_drain(&self) -> Vec<Weak<Session>> {
        let mut state = self.lock();
        state.draining = true;
        state.all.values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no code panics while it holds the registry")
    }
}

fn gauge(sessions: usize) {
    #[expect(clippy::cast_precision_loss, reason = "nobody has 2^52 sessions")]
    metrics::gauge!("tallycast_socketio_sessions").set(sessions as f64);
}
