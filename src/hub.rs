//! The hub: ledger, feed, access and transports, assembled into one axum `Router`.

use std::{sync::Arc, time::Duration};

use axum::Router;
use socketioxide::SocketIo;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    access::{
        Authorize, ConnectionsOf, Grant, OpenGrants, Origins, RevocableAccess, Revocations, Tickets,
    },
    api::{self, Admin},
    domain::{Invalid, Revocation},
    feed::{Clock, Feed, RevokeError},
    http::AppState,
    ledger::{Ledger, LedgerError},
    quota::{Quotas, Usage},
    serve::TrustedProxies,
    transport::{
        self, Drain, Push, PushQueue, Pushed, Timing, TransportState,
        socketio::{SocketIoOptions, SocketIoTransport},
    },
};

/// The most Socket.IO sessions by default: as many as a machine with a few GiB holds.
const SESSIONS_MAX: usize = 200_000;

/// The most revocations by default: a revoked token a minute for over two months, in about 15 MB of memory.
const REVOCATIONS_MAX: usize = 100_000;

/// How long a connection may take at the end of a drain for its closing message and handshake.
const CLOSE_MARGIN: Duration = Duration::from_secs(3);

/// The assembled server. Cheap to clone; all clones are the same server.
#[derive(Clone)]
pub struct Hub {
    socket_io: SocketIoTransport,
    state: TransportState,
}

impl Hub {
    /// Starts building a hub on a ledger. `access` decides what the bearer of a token may do: a
    /// [`Jwt`](crate::Jwt) or your own [`Authorize`].
    pub fn builder(ledger: impl Ledger, access: impl Authorize) -> HubBuilder {
        HubBuilder {
            ledger: Box::new(ledger),
            access: Box::new(access),
            origins: Origins::default(),
            clock: Clock::system(),
            ticket_secret: None,
            timing: Timing::default(),
            attachments_max: 0,
            sessions_max: SESSIONS_MAX,
            quotas: Quotas::default(),
            proxies: TrustedProxies::default(),
            revocations_max: REVOCATIONS_MAX,
        }
    }

    /// The public routes: the API under `/v1`, and Socket.IO at `/socket.io`.
    ///
    /// Merge it into your own router, or nest it under a prefix. It has no fallback.
    pub fn router(&self) -> Router {
        api::router(self.state.app.clone())
            .merge(transport::router(self.state.clone()))
            .merge(self.socket_io.router())
    }

    /// The routes for operators: `/health/live`, `/health/ready`, and `/metrics` with the output of `metrics`, in
    /// Prometheus' text format. They check no token, so serve them on a second listener that the public cannot reach.
    ///
    /// The hub records through the `metrics` facade. Install a recorder, such as `metrics-exporter-prometheus`, and
    /// pass its rendering here.
    pub fn admin_router(&self, metrics: impl Fn() -> String + Send + Sync + 'static) -> Router {
        let admin = Admin::new(self.feed()).with_closing(self.state.app.closing.clone());
        api::admin_router(admin.with_metrics(metrics))
    }

    /// The handle for appending, reading and following in your own code.
    pub fn feed(&self) -> Feed {
        self.state.app.feed.clone()
    }

    /// The Socket.IO engine, for your own namespaces, events and rooms.
    ///
    /// Do not register a handler for `/feed`: it would replace the feed. `/` accepts every client and does nothing
    /// until you register a handler for it.
    ///
    /// Events that you emit here wait in the engine. It holds 64 packets per session and closes a session when a ping
    /// does not fit, so a flood to a slow client disconnects it. A [`push`](Self::push) to `/feed` without acks always
    /// leaves room for pings.
    pub fn socket_io(&self) -> &SocketIo {
        self.socket_io.socket_io()
    }

    /// Pushes an ephemeral event to connected Socket.IO clients, outside the ledger: at most once.
    ///
    /// Not cancel-safe: if the future is dropped, the push may or may not be sent, and one that waits for
    /// acknowledgements may have reached only some sockets.
    ///
    /// # Errors
    /// `reserved_event` if the feed or the clients reserve the event's name, `unknown_namespace` if no handler is
    /// registered for the namespace, `invalid_push` if a volatile push asks for acknowledgements.
    pub async fn push(&self, push: Push) -> Result<Pushed, Invalid> {
        self.state.pushes.push(push).await
    }

    /// Revokes a token, or what a subject was issued before an instant. When it returns, the revocation is durable, new
    /// requests with these tokens and with their tickets are refused, and the connections that they opened are about to
    /// be closed, with the code `revoked`.
    ///
    /// A second revocation of the same token or subject never shortens the first: the later instants count.
    ///
    /// Not cancel-safe: if the future is dropped, the tokens may or may not be revoked.
    ///
    /// # Errors
    /// `invalid_revocation` if it has expired already or `issued_before` is over 30 seconds ahead of now,
    /// `too_many_revocations` if there is no room ([`HubBuilder::revocations_max`]), or the ledger's code if it is
    /// unavailable.
    ///
    /// ```
    /// # use tallycast::{Hub, feed::RevokeError};
    /// use tallycast::{domain::Revocation, jiff::Timestamp};
    ///
    /// # async fn example(hub: Hub) -> Result<(), RevokeError> {
    /// // Alice has lost a phone: all devices need a new token.
    /// hub.revoke(Revocation::of_subject("alice", Timestamp::now())?).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn revoke(&self, revocation: Revocation) -> Result<(), RevokeError> {
        api::revoke(&self.state.app, revocation).await.map(drop)
    }

    /// Whether a grant is of a token that was revoked. The hub's own routes and namespace check it themselves; your own
    /// handlers can ask for the grant that your [`Authorize`] gave them.
    pub fn is_revoked(&self, grant: &Grant) -> bool {
        self.state.app.grants.revocations().check(grant).is_err()
    }

    /// Closes the connections of a subject or an account with the code `disconnected`, without revoking anything:
    /// clients are back after a second. Returns how many connections there were. A long poll that waits counts too, and
    /// is answered as if there were no news.
    ///
    /// Not cancel-safe: if the future is dropped, some of the connections may stay open.
    ///
    /// ```
    /// # use tallycast::{Account, Hub, Invalid};
    /// use tallycast::access::ConnectionsOf;
    ///
    /// # async fn example(hub: Hub) -> Result<(), Invalid> {
    /// let closed = hub.disconnect(&ConnectionsOf::Account(Account::parse("alice")?)).await;
    /// println!("{closed} connections");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn disconnect(&self, connections: &ConnectionsOf) -> usize {
        self.state.app.grants.disconnect(connections).await
    }

    /// The number of open Socket.IO sessions.
    pub fn sessions(&self) -> usize {
        self.socket_io.sessions()
    }

    /// Tells all clients to reconnect later, closes their connections in batches over `period`, and refuses new ones.
    /// Returns when the last one is closed, shortly after `period` at the latest.
    ///
    /// Not cancel-safe: if the future is dropped, new connections stay refused, and some old ones may stay open.
    pub async fn drain(&self, period: Duration) {
        self.state
            .drain
            .set_spread(period.saturating_sub(CLOSE_MARGIN));
        self.state.app.closing.cancel();
        self.state.connections.close();
        let connections = tokio::time::timeout(period, self.state.connections.wait());
        let ((), _) = tokio::join!(self.socket_io.drain(period), connections);
    }

    /// Resolves when the ledger has failed: the outcome of a commit is unknown, and nothing more is recorded until the
    /// process restarts. Otherwise it never resolves. Cancel-safe.
    pub async fn failed(&self) {
        self.state.app.feed.failed().await;
    }
}

/// The settings of a [`Hub`]. Made by [`Hub::builder`].
pub struct HubBuilder {
    ledger: Box<dyn Ledger>,
    access: Box<dyn Authorize>,
    origins: Origins,
    clock: Clock,
    ticket_secret: Option<Vec<u8>>,
    timing: Timing,
    attachments_max: usize,
    sessions_max: usize,
    quotas: Quotas,
    proxies: TrustedProxies,
    revocations_max: usize,
}

impl HubBuilder {
    /// Sets which web pages may call the server. The default is pages of the server's own origin.
    #[must_use]
    pub fn allowed_origins(mut self, origins: Origins) -> Self {
        self.origins = origins;
        self
    }

    /// Sets the clock that days and months are counted by. The default is the machine's. Tokens are always checked by
    /// the machine's clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the secret that signs tickets, which stand in for a token in a URL. The default is a random key, valid
    /// until the process ends. Processes that must accept each other's tickets need the same secret.
    #[must_use]
    pub fn ticket_secret(mut self, secret: impl AsRef<[u8]>) -> Self {
        self.ticket_secret = Some(secret.as_ref().to_vec());
        self
    }

    /// Sets how often clients are pinged, and how long they may take to answer. The defaults are 12 and 15 seconds. A
    /// client whose network is gone is noticed after the sum of both at the latest.
    #[must_use]
    pub fn heartbeat(mut self, interval: Duration, timeout: Duration) -> Self {
        self.timing.ping_interval = interval;
        self.timing.ping_timeout = timeout;
        self
    }

    /// Sets how long a Socket.IO client may take to join a namespace. The default is 10 seconds.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.timing.connect_timeout = timeout;
        self
    }

    /// Sets how long a write to a client may make no progress before its connection is closed. The default is 15
    /// seconds.
    #[must_use]
    pub fn write_stall(mut self, timeout: Duration) -> Self {
        self.timing.write_stall = timeout;
        self
    }

    /// Sets how many binary attachments a packet from a client may have. The default is 0: the feed needs none, but
    /// your own namespaces may.
    #[must_use]
    pub fn attachments_max(mut self, attachments: usize) -> Self {
        self.attachments_max = attachments;
        self
    }

    /// Sets how many Socket.IO sessions may be open at a time. Further ones are refused. The default is 200,000.
    #[must_use]
    pub fn sessions_max(mut self, sessions: usize) -> Self {
        self.sessions_max = sessions;
        self
    }

    /// Sets how much one client may use at a time.
    #[must_use]
    pub fn quotas(mut self, quotas: Quotas) -> Self {
        self.quotas = quotas;
        self
    }

    /// Sets the proxies whose `Forwarded` and `X-Forwarded-For` headers are believed, so that quotas apply to the
    /// clients behind them. The default is none. See also [`Serve::trusted_proxies`](crate::serve::Serve::trusted_proxies).
    #[must_use]
    pub fn trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.proxies = proxies;
        self
    }

    /// Sets how many revocations may be kept that have not expired. Further ones are refused. The default is 100,000;
    /// each takes about 150 bytes of memory.
    #[must_use]
    pub fn revocations_max(mut self, revocations: usize) -> Self {
        self.revocations_max = revocations;
        self
    }

    /// Opens the ledger and assembles the hub.
    ///
    /// # Errors
    /// When the ledger cannot be opened.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub async fn build(self) -> Result<Hub, BuildError> {
        let (ledger, clock) = (self.ledger, self.clock);
        // Opening reads from the disk, so it must not block the runtime.
        let feed = tokio::task::spawn_blocking(move || Feed::start_at(&*ledger, clock));
        let feed = feed
            .await
            .unwrap_or_else(|_| Err(LedgerError::new("opening it panicked")))?;
        let stored = feed.revocations().await;
        let stored = stored.map_err(|error| LedgerError::new(error.to_string()))?;
        let revocations = Arc::new(Revocations::new(stored, self.revocations_max));
        let tickets = match self.ticket_secret {
            Some(secret) => Tickets::new(&secret),
            None => Tickets::of_this_process(),
        };
        let usage = Arc::new(Usage::new(&self.quotas, self.proxies, self.sessions_max));
        let closing = CancellationToken::new();
        let app = AppState {
            feed,
            access: Arc::new(RevocableAccess::new(self.access, revocations.clone())),
            tickets: Arc::new(tickets.with_revocations(revocations.clone())),
            grants: Arc::new(OpenGrants::new(revocations)),
            origins: self.origins.clone(),
            usage: Arc::clone(&usage),
            closing: closing.clone(),
        };
        let socket_io = SocketIoTransport::new(SocketIoOptions {
            timing: self.timing,
            attachments_max: self.attachments_max,
            sessions_max: self.sessions_max,
            origins: self.origins,
            usage,
        });
        socket_io.open_feed(app.clone());
        let state = TransportState {
            app,
            drain: Drain::new(closing),
            timing: self.timing,
            pushes: PushQueue::new(socket_io.socket_io().clone()),
            connections: TaskTracker::new(),
        };
        Ok(Hub { socket_io, state })
    }
}

/// Why a hub could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The ledger cannot be opened.
    #[error("the ledger cannot be opened: {0}")]
    Ledger(#[from] LedgerError),
}
