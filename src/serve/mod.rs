//! An accept loop for a server that faces the internet.
//!
//! `axum::serve` has no timeouts: not for a request's head, not for its body, not for a client that does not read.
//! [`serve()`] has [`Limits`] on all of these and on connections, and it offers TLS. It works with any axum router.

mod activity;
mod body;
#[cfg(feature = "tls")]
mod certificate;
mod chunks;
mod connection;
mod head;
mod host;
mod limits;
mod open_connections;
mod proxies;
mod refusal;
mod request_scan;
mod service;
mod slots;
mod takeover;
mod timeouts;
#[cfg(feature = "tls")]
mod tls;

use std::future::{IntoFuture, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use activity::Activity;
#[cfg(feature = "tls")]
pub use certificate::Validity;
pub use connection::Connection;
pub use limits::Limits;
pub(crate) use open_connections::network;
pub use proxies::{InvalidRange, TrustedProxies};
use refusal::Refusals;
use service::{PendingTakeover, Requests};
pub use slots::Slot;
use slots::Slots;
pub(crate) use takeover::Takeover;
use timeouts::TimeoutStream;
#[cfg(feature = "tls")]
pub use tls::{Tls, TlsError};

/// How long to wait after the system had no descriptor (or memory) for a connection. An immediate retry would spin,
/// since the connection stays in the backlog and the listener stays ready.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// hyper refuses a smaller read buffer.
const HEAD_BYTES_FLOOR: usize = 8 * 1024;

/// Serves `router` on `listener`, within `limits`: HTTP/1 with upgrades.
///
/// Handlers get the client's address as `axum::extract::ConnectInfo<SocketAddr>`. After an upgrade, a handler can get
/// the [`Connection`].
///
/// Nothing happens until the returned [`Serve`] is awaited, inside a Tokio runtime. Several may run at once, each with
/// its own limits. Not cancel-safe: dropping a running one cuts its connections, except upgraded ones.
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// use tallycast::{Limits, serve};
///
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
/// let app = axum::Router::new().route("/", axum::routing::get(|| async { "hello" }));
/// serve(listener, app, Limits::default())
///     .with_graceful_shutdown(async { tokio::signal::ctrl_c().await.unwrap_or_default() })
///     .await;
/// # Ok(())
/// # }
/// ```
pub fn serve(listener: TcpListener, router: Router, limits: Limits) -> Serve {
    Serve {
        listener,
        router,
        limits,
        proxies: TrustedProxies::default(),
        shutdown: Box::pin(std::future::pending()),
        #[cfg(feature = "tls")]
        tls: None,
    }
}

/// A server that runs once it is awaited. Made by [`serve()`].
#[must_use = "a server does nothing until it is awaited"]
pub struct Serve {
    listener: TcpListener,
    router: Router,
    limits: Limits,
    proxies: TrustedProxies,
    shutdown: Pin<Box<dyn Future<Output = ()> + Send>>,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
}

impl Serve {
    /// Exempts connections of these proxies from [`Limits::connections_per_peer_max`]: each carries requests of many
    /// clients. A hub limits those clients by their own addresses; see
    /// [`HubBuilder::trusted_proxies`](crate::HubBuilder::trusted_proxies).
    pub fn trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.proxies = proxies;
        self
    }

    /// Uses TLS on every connection.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Shuts down once `signal` resolves: accepts no more connections, closes idle ones, lets requests finish for at
    /// most [`Limits::drain_timeout`], then cuts the rest and resolves.
    ///
    /// Upgraded connections are neither waited for nor cut: they belong to the handler that upgraded them. The same
    /// applies to a hub's streaming responses, which its drain ends.
    pub fn with_graceful_shutdown(
        mut self,
        signal: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        self.shutdown = Box::pin(signal);
        self
    }
}

impl IntoFuture for Serve {
    type Output = ();
    type IntoFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            tls.chain.report();
        }
        Box::pin(run(self))
    }
}

async fn run(serve: Serve) {
    let Serve {
        listener,
        mut shutdown,
        proxies,
        ..
    } = serve;
    let slots = Slots::new(&serve.limits, proxies);
    let tasks = TaskTracker::new();
    let server = Arc::new(Server::new(
        serve.router,
        serve.limits,
        #[cfg(feature = "tls")]
        serve.tls,
    ));
    // Dropping the server cuts its connections.
    let _cut_on_drop = server.cut.clone().drop_guard();
    tokio::select! {
        () = &mut shutdown => {}
        never = accept_all(&listener, &server, &slots, &tasks) => match never {},
    }
    drop(listener);
    server.draining.cancel();
    tasks.close();
    let in_time = tokio::time::timeout(server.limits.drain_timeout, tasks.wait()).await;
    if in_time.is_err() {
        tracing::warn!(
            connections = tasks.len(),
            "requests did not finish in time: their connections are cut"
        );
        server.cut.cancel();
        tasks.wait().await;
    }
}

async fn accept_all(
    listener: &TcpListener,
    server: &Arc<Server>,
    slots: &Slots,
    tasks: &TaskTracker,
) -> std::convert::Infallible {
    let refusals = Refusals::default();
    loop {
        let (tcp, peer) = accept(listener).await;
        let activity = Arc::<Activity>::default();
        match slots.enter(peer.ip(), &activity).await {
            Some(slot) => {
                tasks.spawn(Arc::clone(server).serve_connection(tcp, peer, slot, activity));
            }
            None if server.speaks_plain_http() => refusals.refuse(tcp, tasks),
            None => {}
        }
    }
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    let mut out_of_resources = false;
    loop {
        match listener.accept().await {
            Ok(accepted) => {
                if out_of_resources {
                    tracing::info!("connections are accepted again");
                }
                return accepted;
            }
            Err(error) if is_of_one_client(&error) => {}
            Err(error) => {
                if !out_of_resources {
                    tracing::error!(%error, "cannot accept connections: retrying");
                }
                out_of_resources = true;
                tokio::time::sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
}

/// Whether only this connection failed, so that the next may be accepted.
fn is_of_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

/// What all connections of one listener share.
struct Server {
    router: Router,
    limits: Arc<Limits>,
    http: http1::Builder,
    draining: CancellationToken,
    cut: CancellationToken,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
}

impl Server {
    fn new(router: Router, limits: Limits, #[cfg(feature = "tls")] tls: Option<Tls>) -> Self {
        let head_bytes_max = limits.head_bytes_max.max(HEAD_BYTES_FLOOR);
        // Not hyper-util's, which first reads 24 bytes to detect HTTP/2: a head that arrives in two reads makes hyper
        // double its buffer.
        let mut http = http1::Builder::new();
        http.max_buf_size(head_bytes_max)
            // The buffer may hold slightly more than that.
            .max_header_size(head_bytes_max)
            // Ours, in `timeouts`, distinguishes an idle connection from an unfinished head; hyper's does not.
            .header_read_timeout(None);
        Self {
            router,
            limits: Arc::new(limits),
            http,
            draining: CancellationToken::new(),
            cut: CancellationToken::new(),
            #[cfg(feature = "tls")]
            tls,
        }
    }

    /// One connection, from accept to close or upgrade.
    async fn serve_connection(
        self: Arc<Self>,
        tcp: TcpStream,
        peer: SocketAddr,
        slot: Slot,
        activity: Arc<Activity>,
    ) {
        tokio::select! {
            () = self.cut.cancelled() => {}
            () = self.drive(tcp, peer, slot, activity) => {}
        }
    }

    async fn drive(&self, tcp: TcpStream, peer: SocketAddr, slot: Slot, activity: Arc<Activity>) {
        self.tune(&tcp);
        let stream = TimeoutStream::new(tcp, slot, Arc::clone(&activity), &self.limits);
        let connection = match self.accept_tls(stream).await {
            Ok(connection) => connection,
            Err(error) => return tracing::debug!(%peer, %error, "TLS handshake failed"),
        };
        let requests = Requests {
            router: self.router.clone(),
            peer,
            activity,
            limits: Arc::clone(&self.limits),
            takeover: PendingTakeover::default(),
        };
        if let Err(error) = self.serve_http(connection, requests).await {
            tracing::debug!(%peer, %error, "connection ended");
        }
    }

    async fn serve_http(
        &self,
        connection: Connection,
        requests: Requests,
    ) -> Result<(), axum::BoxError> {
        let io = TokioIo::new(connection);
        let activity = Arc::clone(&requests.activity);
        let pending = requests.takeover.clone();
        let mut http = self.http.serve_connection(io, requests).with_upgrades();
        let mut draining = std::pin::pin!(self.draining.cancelled());
        let mut is_draining = false;
        let takeover = poll_fn(|cx| {
            if let Poll::Ready(ended) = Pin::new(&mut http).poll(cx) {
                return Poll::Ready(ended.map(|()| None));
            }
            if activity.is_head_out()
                && let Some(takeover) = pending.take()
            {
                return Poll::Ready(Ok(Some(takeover)));
            }
            if !is_draining && draining.as_mut().poll(cx).is_ready() {
                is_draining = true;
                Pin::new(&mut http).graceful_shutdown();
                // hyper must be polled once more, and nothing else may wake this task.
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        });
        let takeover = takeover.await?;
        if let Some((takeover, http)) = takeover.zip(http.into_parts()) {
            takeover.give(http.io.into_inner());
        }
        Ok(())
    }

    /// Whether a connection can be answered without a TLS handshake.
    #[cfg(feature = "tls")]
    fn speaks_plain_http(&self) -> bool {
        self.tls.is_none()
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_self, reason = "it has the same signature with TLS")]
    fn speaks_plain_http(&self) -> bool {
        true
    }

    /// Best effort: a connection also works without these options.
    fn tune(&self, tcp: &TcpStream) {
        let _ = tcp.set_nodelay(true);
        if self.limits.send_buffer_bytes > 0 {
            let bytes = usize::try_from(self.limits.send_buffer_bytes).unwrap_or(usize::MAX);
            let _ = socket2::SockRef::from(tcp).set_send_buffer_size(bytes);
        }
    }

    #[cfg(feature = "tls")]
    async fn accept_tls(&self, stream: TimeoutStream) -> io::Result<Connection> {
        let Some(tls) = &self.tls else {
            return Ok(Connection::plain(stream));
        };
        let handshake = tls.acceptor.accept(stream);
        let stream = crate::deadline::timeout(self.limits.head_timeout, handshake).await??;
        Ok(Connection::tls(stream))
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_async, reason = "it has the same signature with TLS")]
    async fn accept_tls(&self, stream: TimeoutStream) -> io::Result<Connection> {
        Ok(Connection::plain(stream))
    }
}
