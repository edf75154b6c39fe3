//! One Engine.IO session: our state of it, besides the engine's.

pub(super) mod drain;
mod polling_requests;
mod polling_watch;
mod registry;
mod stream;

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use socketioxide::socket::Sid;
use tokio::sync::Notify;

pub(super) use polling_watch::watch_polling;
pub(super) use registry::Registry;
pub(super) use stream::EngineStream;

use self::{
    polling_requests::{PollingRequests, RequestUnderWay},
    registry::SessionNumber,
};
use super::{
    connection::{EngineConnection, FlowControl, wait_until},
    engine::EngineBridge,
    limits::POLL_RELEASE,
};
use crate::{
    quota::{Client, OpenSession},
    transport::{follow::CloseReason, websocket::CloseCode},
};

/// A session, with the state `T` that its namespaces keep with it.
///
/// It lives as long as the engine keeps the request that opened it: the session is an extension of that request, where
/// the handlers of its sockets find it. The registry holds it weakly, and removes it as soon as its WebSocket is gone.
pub(crate) struct Session<T> {
    number: SessionNumber,
    registry: Arc<Registry<Self>>,
    engine: EngineBridge,
    /// The token of the request that opened it, for namespaces that use it. Never logged.
    pub(crate) bearer: Option<Box<str>>,
    /// Where the request that opened it came from.
    pub(crate) client: Client,
    pub(crate) flow: Arc<FlowControl>,
    pub(crate) state: T,
    sid: OnceLock<Sid>,
    connection: OnceLock<Arc<EngineConnection>>,
    /// Whether a client probes a WebSocket. It also prevents a second probe.
    is_probing: AtomicBool,
    expects_first_ping: AtomicBool,
    close_reason: OnceLock<CloseReason>,
    polling: PollingRequests,
    /// Notified when a probe begins, or the session must close.
    changed: Notify,
}

/// The request that opens a session.
pub(crate) struct SessionOpener {
    pub(crate) bearer: Option<Box<str>>,
    pub(crate) client: Client,
    pub(crate) counted: OpenSession,
}

impl<T: Default> Session<T> {
    /// Opens a session; `None` if there are too many, or the server is shutting down.
    pub(crate) fn open(
        registry: &Arc<Registry<Self>>,
        engine: &EngineBridge,
        opener: SessionOpener,
    ) -> Option<Arc<Self>> {
        let SessionOpener {
            bearer,
            client,
            counted,
        } = opener;
        registry.open(counted, |number| Self {
            number,
            registry: Arc::clone(registry),
            engine: engine.clone(),
            bearer,
            client,
            flow: Arc::default(),
            state: T::default(),
            sid: OnceLock::new(),
            connection: OnceLock::new(),
            is_probing: AtomicBool::new(false),
            expects_first_ping: AtomicBool::new(true),
            close_reason: OnceLock::new(),
            polling: PollingRequests::new(),
            changed: Notify::new(),
        })
    }
}

impl<T> Session<T> {
    pub(crate) fn sid(&self) -> Option<Sid> {
        self.sid.get().copied()
    }

    /// Records the id that the engine gave to a polling session.
    pub(crate) fn set_sid(self: &Arc<Self>, sid: Sid) {
        self.sid.get_or_init(|| sid);
        self.registry.insert_polling(sid, self);
    }

    /// Counts a polling request, until the result is dropped.
    pub(crate) fn begin_request(&self) -> RequestUnderWay<'_> {
        self.polling.begin()
    }

    /// Records the session's WebSocket. It has at most one.
    pub(crate) fn set_connection(&self, connection: Arc<EngineConnection>) {
        self.connection.get_or_init(|| connection);
        self.flow.set_websocket();
    }

    pub(crate) fn connection(&self) -> Option<&Arc<EngineConnection>> {
        self.connection.get()
    }

    /// Reserves the session for one upgrade; `None` if one is under way or done.
    pub(crate) fn begin_probe(self: &Arc<Self>) -> Option<Probe<T>> {
        if self.connection.get().is_some() || self.is_probing.swap(true, Ordering::AcqRel) {
            return None;
        }
        self.changed.notify_waiters();
        Some(Probe(Arc::clone(self)))
    }

    /// Resolves a moment after a probe has begun: then a waiting poll must be answered. Cancel-safe.
    pub(crate) async fn poll_must_end(&self) {
        let is_probing = || self.is_probing.load(Ordering::Acquire);
        wait_until(&self.changed, || is_probing().then_some(())).await;
        tokio::time::sleep(POLL_RELEASE).await;
    }

    /// Claims the first ping: true for the caller that must handle it.
    pub(crate) fn claim_first_ping(&self) -> bool {
        self.expects_first_ping.swap(false, Ordering::Relaxed)
    }

    /// Asks the session's task to send a closing message and to close. The first reason wins.
    pub(crate) fn request_close(&self, reason: CloseReason) {
        self.close_reason.get_or_init(|| reason);
        self.changed.notify_waiters();
    }

    /// Resolves with the reason once the session must close. Cancel-safe.
    pub(crate) async fn close_requested(&self) -> CloseReason {
        wait_until(&self.changed, || self.close_reason.get().copied()).await
    }

    /// Closes the transport: with a close frame on a WebSocket, with a close packet on polling.
    pub(crate) fn close(&self, code: CloseCode) {
        if let Some(connection) = self.connection.get() {
            connection.close(code);
        } else if let Some(sid) = self.sid() {
            self.engine.close(sid);
            self.end();
        }
    }

    /// Cuts the transport.
    pub(crate) fn kill(&self) {
        match self.connection.get() {
            Some(connection) => {
                connection.kill();
            }
            None => self.close(CloseCode::GoingAway),
        }
    }

    /// Waits until the session has ended, for at most `limit`. Returns whether it has.
    pub(crate) async fn ended_within(&self, limit: Duration) -> bool {
        tokio::time::timeout(limit, self.flow.ended()).await.is_ok()
    }

    /// Marks the session as ended, although the engine may keep it a little longer.
    pub(crate) fn end(&self) {
        self.flow.end();
        self.registry.remove(self.number, self.sid());
    }
}

impl<T> Drop for Session<T> {
    fn drop(&mut self) {
        self.end();
    }
}

/// The right to upgrade a session, until dropped.
pub(crate) struct Probe<T>(Arc<Session<T>>);

impl<T> Probe<T> {
    pub(crate) fn session(&self) -> &Arc<Session<T>> {
        &self.0
    }
}

impl<T> Drop for Probe<T> {
    fn drop(&mut self) {
        self.0.is_probing.store(false, Ordering::Release);
    }
}
