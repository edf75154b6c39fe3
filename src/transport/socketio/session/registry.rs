//! The registry of sessions. It finds a polling session by its id, bounds and counts sessions, and lists them for the
//! drain.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, Weak},
};

use socketioxide::socket::Sid;

use crate::quota::OpenSession;

/// Our own number of a session. The engine's id is a secret of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SessionNumber(u64);

/// All sessions, as weak references: the engine decides how long they live.
pub(crate) struct Registry<T> {
    state: Mutex<RegistryState<T>>,
    sessions_max: usize,
}

struct RegistryState<T> {
    next: u64,
    all: HashMap<SessionNumber, Registered<T>>,
    polling: HashMap<Sid, Weak<T>>,
    is_draining: bool,
}

struct Registered<T> {
    session: Weak<T>,
    /// Held here, since the engine may keep a session for a while after it has ended.
    _counted: OpenSession,
}

impl<T> Registry<T> {
    pub(crate) fn new(sessions_max: usize) -> Self {
        Self {
            state: Mutex::new(RegistryState {
                next: 0,
                all: HashMap::new(),
                polling: HashMap::new(),
                is_draining: false,
            }),
            sessions_max,
        }
    }

    /// Registers a new session; `None` if there are too many, or the server is shutting down.
    pub(super) fn open(
        &self,
        counted: OpenSession,
        session: impl FnOnce(SessionNumber) -> T,
    ) -> Option<Arc<T>> {
        let mut state = self.lock();
        if state.is_draining || state.all.len() >= self.sessions_max {
            return None;
        }
        let number = SessionNumber(state.next);
        state.next += 1;
        let session = Arc::new(session(number));
        let registered = Registered {
            session: Arc::downgrade(&session),
            _counted: counted,
        };
        state.all.insert(number, registered);
        gauge(state.all.len());
        Some(session)
    }

    /// Makes a polling session findable by its id.
    pub(super) fn insert_polling(&self, sid: Sid, session: &Arc<T>) {
        self.lock().polling.insert(sid, Arc::downgrade(session));
    }

    pub(crate) fn find(&self, sid: Sid) -> Option<Arc<T>> {
        self.lock().polling.get(&sid)?.upgrade()
    }

    pub(super) fn remove(&self, number: SessionNumber, sid: Option<Sid>) {
        let mut state = self.lock();
        state.all.remove(&number);
        if let Some(sid) = sid {
            state.polling.remove(&sid);
        }
        gauge(state.all.len());
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().all.len()
    }

    /// Refuses new sessions from now on, and returns the open ones.
    pub(super) fn begin_drain(&self) -> Vec<Weak<T>> {
        let mut state = self.lock();
        state.is_draining = true;
        let registered = state.all.values();
        registered.map(|it| it.session.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, RegistryState<T>> {
        self.state
            .lock()
            .expect("no code panics while it holds the registry")
    }
}

fn gauge(sessions: usize) {
    #[expect(clippy::cast_precision_loss, reason = "there are never 2^52 sessions")]
    metrics::gauge!("tallycast_socketio_sessions").set(sessions as f64);
}
