//! The hub: ledger, feed, access and transports, assembled into one axum `Router`.

use std::{sync::Arc, time::Duration};

use axum::Router;
use socketioxide::SocketIo;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    access::{Authorize, Origins, Tickets},
    api::{self, Admin, Api},
    domain::Invalid,
    feed::{Clock, Feed},
    ledger::{Ledger, LedgerError},
    transport::{
        self, Drain, Push, Pushed, Pusher, Timing, Transports,
        socketio::{Options, Transport},
    },
};

/// Socket.IO sessions at a time unless said: what a machine with a few GiB holds.
const SESSIONS_MAX: usize = 200_000;

/// What a connection needs at the end of a drain to say goodbye.
const LEAVE_MARGIN: Duration = Duration::from_secs(3);

/// The assembled server. Cheap to clone.
#[derive(Clone)]
pub struct Hub {
    api: Api,
    transport: Transport,
    transports: Transports,
    closing: CancellationToken,
}

impl Hub {
    /// Starts to build a hub on a ledger.
    pub fn builder(ledger: impl Ledger) -> HubBuilder {
        HubBuilder {
            ledger: Box::new(ledger),
            access: None,
            origins: Origins::default(),
            clock: Clock::system(),
            ticket_secret: None,
            timing: Timing::default(),
            attachments_max: 0,
            sessions_max: SESSIONS_MAX,
        }
    }

    /// The public routes: the API under `/v1`, Socket.IO at `/socket.io`.
    ///
    /// Merge it into a host's router or nest it under a prefix; it has no fallback.
    pub fn router(&self) -> Router {
        let socket_io = self.transport.router();
        let socket_io = match self.api.origins.cors() {
            Some(cors) => socket_io.layer(cors),
            None => socket_io,
        };
        api::router(self.api.clone())
            .merge(transport::router(self.transports.clone()))
            .merge(socket_io)
    }

    /// The routes of a second listener that the public does not reach: `/health/live`,
    /// `/health/ready`, and `/metrics` with what `metrics` gives, in the text format of Prometheus.
    ///
    /// The hub records through the `metrics` facade; install a recorder, such as
    /// `metrics-exporter-prometheus`, and hand its rendering in.
    pub fn admin_router(&self, metrics: impl Fn() -> String + Send + Sync + 'static) -> Router {
        let admin = Admin::new(self.feed()).with_closing(self.closing.clone());
        api::admin_router(admin.with_metrics(metrics))
    }

    /// The handle for appending, reading and following: the same that the hub uses.
    pub fn feed(&self) -> Feed {
        self.api.feed.clone()
    }

    /// The engine, for a host's own namespaces, events and rooms.
    ///
    /// The namespace `/feed` is the hub's own: a host that replaces its handler loses the feed. `/`
    /// accepts everyone and does nothing until a host replaces it.
    ///
    /// What is emitted by it waits in the engine, which has room for 64 packets of a session and ends one
    /// whose ping does not fit: a flood to a slow client costs its connection. A [`push`](Self::push) without
    /// acks to `/feed` leaves room.
    pub fn socket_io(&self) -> &SocketIo {
        self.transport.socket_io()
    }

    /// Pushes an ephemeral event to connected Socket.IO clients, outside the ledger: at most once.
    ///
    /// # Errors
    /// `reserved_event` for the feed's own events and the clients', `unknown_namespace`, `invalid_push`.
    pub async fn push(&self, push: Push) -> Result<Pushed, Invalid> {
        self.transports.pusher.push(push).await
    }

    /// How many Socket.IO sessions are open now.
    pub fn sessions(&self) -> usize {
        self.transport.sessions()
    }

    /// Tells all clients to come back later, closes their connections in batches over `period`,
    /// and lets no new one in. Returns when the last is closed, soon after `period` at the latest.
    pub async fn drain(&self, period: Duration) {
        self.transports
            .drain
            .set_spread(period.saturating_sub(LEAVE_MARGIN));
        self.closing.cancel();
        self.transports.sockets.close();
        let websockets = tokio::time::timeout(period, self.transports.sockets.wait());
        let ((), _) = tokio::join!(self.transport.drain(period), websockets);
    }

    /// Resolves when the ledger has failed: the outcome of a commit is unknown and nothing more
    /// is recorded until the process starts anew. Cancel-safe.
    pub async fn failed(&self) {
        self.api.feed.failed().await;
    }
}

/// Collects what a [`Hub`] is made of.
pub struct HubBuilder {
    ledger: Box<dyn Ledger>,
    access: Option<Arc<dyn Authorize>>,
    origins: Origins,
    clock: Clock,
    ticket_secret: Option<Vec<u8>>,
    timing: Timing,
    attachments_max: usize,
    sessions_max: usize,
}

impl HubBuilder {
    /// Who may do what. There is no default: a hub without it is not built.
    #[must_use]
    pub fn access(mut self, access: impl Authorize) -> Self {
        self.access = Some(Arc::new(access));
        self
    }

    /// Which web pages may call; unless said, those of the server's own origin.
    #[must_use]
    pub fn allowed_origins(mut self, origins: Origins) -> Self {
        self.origins = origins;
        self
    }

    /// What days and months are counted by; unless said, the machine's clock. Tokens are checked by the
    /// machine's in any case.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// What tickets are signed with; unless said, a random key, which ends with the process. Nodes that
    /// should take each other's tickets share one.
    #[must_use]
    pub fn ticket_secret(mut self, secret: impl AsRef<[u8]>) -> Self {
        self.ticket_secret = Some(secret.as_ref().to_vec());
        self
    }

    /// How often Socket.IO clients are pinged, and how long they may take to answer; unless said,
    /// 12 and 15 seconds. A client whose network has gone is noticed after both.
    #[must_use]
    pub fn heartbeat(mut self, interval: Duration, timeout: Duration) -> Self {
        self.timing.ping_interval = interval;
        self.timing.ping_timeout = timeout;
        self
    }

    /// How long a Socket.IO client may take to join a namespace; unless said, 10 seconds.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.timing.connect_timeout = timeout;
        self
    }

    /// How long a client may take nothing of what is written to it; unless said, 15 seconds.
    #[must_use]
    pub fn write_stall(mut self, timeout: Duration) -> Self {
        self.timing.write_stall = timeout;
        self
    }

    /// How many binary attachments a packet may have; unless said, none. The feed needs none, a
    /// host's own namespace may.
    #[must_use]
    pub fn attachments_max(mut self, attachments: usize) -> Self {
        self.attachments_max = attachments;
        self
    }

    /// How many Socket.IO sessions may be open at a time; unless said, 200,000.
    #[must_use]
    pub fn sessions_max(mut self, sessions: usize) -> Self {
        self.sessions_max = sessions;
        self
    }

    /// Opens the ledger and assembles the hub. It must run inside a Tokio runtime.
    ///
    /// # Errors
    /// When there is no [`access`](Self::access), or the ledger cannot be opened.
    pub async fn build(self) -> Result<Hub, BuildError> {
        let access = self.access.ok_or(BuildError::NoAccess)?;
        let (ledger, clock) = (self.ledger, self.clock);
        // Opening reads from the disk; on the side, so as not to hold the runtime up.
        let feed = tokio::task::spawn_blocking(move || Feed::start_at(&*ledger, clock));
        let feed = feed
            .await
            .unwrap_or_else(|_| Err(LedgerError::new("opening it panicked")))?;
        let tickets = match self.ticket_secret {
            Some(secret) => Tickets::new(&secret),
            None => Tickets::of_this_process(),
        };
        let origins = self.origins.clone();
        let transport = Transport::new(Options {
            timing: self.timing,
            attachments_max: self.attachments_max,
            sessions_max: self.sessions_max,
            origins: Arc::new(move |headers| origins.check(headers).is_ok()),
        });
        let closing = CancellationToken::new();
        let api = Api::new(feed, access)
            .with_origins(self.origins)
            .with_tickets(tickets)
            .with_closing(closing.clone());
        transport.open_feed(&api);
        let transports = Transports {
            api: api.clone(),
            drain: Drain::new(closing.clone()),
            timing: self.timing,
            pusher: Pusher::new(transport.socket_io().clone()),
            sockets: TaskTracker::new(),
        };
        Ok(Hub {
            api,
            transport,
            transports,
            closing,
        })
    }
}

/// Why a hub could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Nobody says who may do what.
    #[error("no access: call HubBuilder::access with a Jwt or your own Authorize")]
    NoAccess,
    /// The ledger cannot be opened.
    #[error("the ledger cannot be opened: {0}")]
    Ledger(#[from] LedgerError),
}
