//! One Engine.IO session: what we know of it beside what the engine knows.

use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use socketioxide::socket::Sid;
use tokio::sync::Notify;

use super::{
    conn::Conn,
    engine::Engine,
    farewell::Farewell,
    flow::Flow,
    frame::CloseCode,
    limits::{POLL_RELEASE, REFUSALS_MAX},
    mailbox::{Mailbox, Request},
    namespace::Admission,
    sessions::{Number, Sessions},
    until::until,
};

/// A session lives as long as the engine keeps the request that opened it: there it is put as an
/// extension, and whoever handles a socket finds it there. The registry only knows it weakly, and
/// forgets it as soon as its WebSocket is gone.
pub(super) struct Session {
    number: Number,
    registry: Arc<Sessions>,
    engine: Engine,
    /// The token of the request that opened it, for namespaces that look at it.
    pub(super) bearer: Option<Box<str>>,
    pub(super) flow: Arc<Flow>,
    sid: OnceLock<Sid>,
    conn: OnceLock<Arc<Conn>>,
    mailbox: Mutex<Option<Arc<Mailbox>>>,
    admission: Mutex<Option<Box<Admission>>>,
    refusals: AtomicU32,
    /// While a client probes a WebSocket; also what keeps a second one away.
    probing: AtomicBool,
    first_ping: AtomicBool,
    farewell: OnceLock<Farewell>,
    /// A probe began, or the session shall end.
    news: Notify,
}

impl Session {
    pub(super) fn new(
        number: Number,
        registry: Arc<Sessions>,
        engine: Engine,
        bearer: Option<Box<str>>,
    ) -> Self {
        Self {
            number,
            registry,
            engine,
            bearer,
            flow: Arc::default(),
            sid: OnceLock::new(),
            conn: OnceLock::new(),
            mailbox: Mutex::new(None),
            admission: Mutex::new(None),
            refusals: AtomicU32::new(0),
            probing: AtomicBool::new(false),
            first_ping: AtomicBool::new(true),
            farewell: OnceLock::new(),
            news: Notify::new(),
        }
    }

    pub(super) fn sid(&self) -> Option<Sid> {
        self.sid.get().copied()
    }

    pub(super) fn set_sid(&self, sid: Sid) {
        self.sid.get_or_init(|| sid);
    }

    /// The session's WebSocket from now on. It has at most one.
    pub(super) fn set_conn(&self, conn: Arc<Conn>) {
        self.conn.get_or_init(|| conn);
        self.flow.set_websocket();
    }

    pub(super) fn conn(&self) -> Option<&Arc<Conn>> {
        self.conn.get()
    }

    /// Reserves the session for one upgrade; `None` if one is under way or done.
    pub(super) fn begin_probe(self: &Arc<Self>) -> Option<Probe> {
        if self.conn.get().is_some() || self.probing.swap(true, Ordering::AcqRel) {
            return None;
        }
        self.news.notify_waiters();
        Some(Probe(Arc::clone(self)))
    }

    /// Resolves a moment after a probe began: a waiting poll then has to give way. Cancel-safe.
    pub(super) async fn poll_must_yield(&self) {
        let is_probing = || self.probing.load(Ordering::Acquire);
        until(&self.news, || is_probing().then_some(())).await;
        tokio::time::sleep(POLL_RELEASE).await;
    }

    /// Whether the engine's first ping has still to be dealt with.
    pub(super) fn expects_first_ping(&self) -> bool {
        self.first_ping.load(Ordering::Relaxed)
    }

    /// Claims the first ping: true for the one who deals with it.
    pub(super) fn claim_first_ping(&self) -> bool {
        self.first_ping.swap(false, Ordering::Relaxed)
    }

    /// Opens the mailbox of the session's feed socket, in place of an earlier one.
    pub(super) fn open_mailbox(&self) -> Arc<Mailbox> {
        let mailbox = Arc::<Mailbox>::default();
        let earlier = self
            .mailbox
            .lock()
            .expect("no code panics with the mailbox")
            .replace(Arc::clone(&mailbox));
        if let Some(earlier) = earlier {
            earlier.close();
        }
        self.flow.forget_requests();
        mailbox
    }

    /// Puts a request into the mailbox; one that does not fit ends the session, since reading
    /// pauses long before that.
    pub(super) fn ask(&self, request: Request) {
        let mailbox = self
            .mailbox
            .lock()
            .expect("no code panics with the mailbox")
            .clone();
        let Some(mailbox) = mailbox else { return };
        self.flow.request_waits();
        if !mailbox.put(request) {
            self.end(Farewell::Limit);
        }
    }

    /// A request was taken out of the mailbox.
    pub(super) fn request_taken(&self) {
        if self.flow.request_taken()
            && let Some(conn) = self.conn.get()
        {
            conn.wake_reader();
        }
    }

    /// Keeps what a socket was admitted with until its CONNECT is answered.
    pub(super) fn admit(&self, admission: Admission) {
        *self
            .admission
            .lock()
            .expect("no code panics with an admission") = Some(Box::new(admission));
    }

    pub(super) fn take_admission(&self) -> Option<Admission> {
        let admission = self
            .admission
            .lock()
            .expect("no code panics with an admission")
            .take();
        admission.map(|admission| *admission)
    }

    /// Counts a refused CONNECT; too many end the session.
    pub(super) fn count_refusal(&self) {
        if self.refusals.fetch_add(1, Ordering::Relaxed) >= REFUSALS_MAX {
            self.close(CloseCode::Policy);
        }
    }

    /// Asks the feed socket to say goodbye and close; the first reason counts.
    pub(super) fn end(&self, farewell: Farewell) {
        self.farewell.get_or_init(|| farewell);
        self.news.notify_waiters();
    }

    /// Resolves with the reason once the session shall end. Cancel-safe.
    pub(super) async fn ending(&self) -> Farewell {
        until(&self.news, || self.farewell.get().copied()).await
    }

    /// Whether a feed socket is there to say goodbye.
    pub(super) fn has_feed(&self) -> bool {
        let mailbox = self
            .mailbox
            .lock()
            .expect("no code panics with the mailbox");
        mailbox.as_ref().is_some_and(|mailbox| !mailbox.is_closed())
    }

    /// Closes the transport: a close frame on a WebSocket, an internal close packet on polling.
    pub(super) fn close(&self, code: CloseCode) {
        if let Some(conn) = self.conn.get() {
            conn.close(code);
        } else if let Some(sid) = self.sid() {
            self.engine.close(sid);
            self.leave();
        }
    }

    /// Cuts what is left of the transport.
    pub(super) fn kill(&self) {
        match self.conn.get() {
            Some(conn) => {
                conn.kill();
            }
            None => self.close(CloseCode::GoingAway),
        }
    }

    /// Waits until the session is over, at most for `limit`.
    pub(super) async fn closed_within(&self, limit: Duration) -> bool {
        tokio::time::timeout(limit, self.flow.gone()).await.is_ok()
    }

    /// The session is over, although the engine may remember it a little longer.
    pub(super) fn leave(&self) {
        self.flow.end();
        self.registry.forget(self.number, self.sid());
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.leave();
    }
}

/// The right to upgrade a session, until dropped.
pub(super) struct Probe(Arc<Session>);

impl Probe {
    pub(super) fn session(&self) -> &Arc<Session> {
        &self.0
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.0.probing.store(false, Ordering::Release);
    }
}
