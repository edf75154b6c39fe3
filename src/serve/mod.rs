//! The accept loop for a server that faces the internet.
//!
//! `axum::serve` waits for ever: for a head that never ends, a body that never comes, a client that
//! never reads. [`serve`] does the same work with [`Limits`] on all of these, caps on connections, and
//! TLS. It knows nothing of the rest of the crate.

mod activity;
mod body;
mod connection;
mod deadline;
mod guard;
mod handover;
mod head;
mod limits;
mod service;
mod slots;
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
pub use connection::Connection;
use guard::Guarded;
pub(crate) use handover::Handover;
pub use limits::Limits;
use service::Requests;
pub use slots::Slot;
use slots::Slots;
#[cfg(feature = "tls")]
pub use tls::{Tls, TlsError};

/// How long to wait after the system had no descriptor (or memory) for a connection. Retrying at once
/// would spin: the connection stays in the backlog, so the listener stays ready.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// hyper refuses a smaller read buffer.
const HEAD_BYTES_FLOOR: usize = 8 * 1024;

/// Serves `router` to everybody who connects to `listener`, within `limits`.
///
/// Handlers get the client's address as `axum::extract::ConnectInfo<SocketAddr>`. HTTP/1 with upgrades;
/// see [`Connection`] for what an upgraded handler can get hold of.
///
/// Nothing happens until the returned [`Serve`] is awaited. Several may run at once, each with caps of
/// its own. Dropping a running one cuts its connections (not the upgraded ones).
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
        shutdown: Box::pin(std::future::pending()),
        #[cfg(feature = "tls")]
        tls: None,
    }
}

/// A server about to run: await it. Made by [`serve`].
#[must_use = "a server does nothing until it is awaited"]
pub struct Serve {
    listener: TcpListener,
    router: Router,
    limits: Limits,
    shutdown: Pin<Box<dyn Future<Output = ()> + Send>>,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
}

impl Serve {
    /// Speaks TLS with every client.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Shuts down once `signal` resolves: accepts no more, closes idle connections, lets requests
    /// under way finish for at most [`Limits::drain_timeout`], then cuts them and resolves.
    ///
    /// Upgraded connections are not waited for and not cut: they belong to who upgraded them. So it is with the
    /// responses that a hub writes as long as a client follows: its drain ends them.
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
        Box::pin(run(self))
    }
}

async fn run(serve: Serve) {
    let Serve {
        listener,
        mut shutdown,
        ..
    } = serve;
    let tasks = TaskTracker::new();
    let server = Arc::new(Server::new(
        serve.router,
        serve.limits,
        #[cfg(feature = "tls")]
        serve.tls,
    ));
    // Connections must not outlive a dropped server.
    let _cut_on_drop = server.cut.clone().drop_guard();
    tokio::select! {
        () = &mut shutdown => {}
        never = accept_all(&listener, &server, &tasks) => match never {},
    }
    drop(listener);
    server.draining.cancel();
    tasks.close();
    let in_time = tokio::time::timeout(server.limits.drain_timeout, tasks.wait()).await;
    if in_time.is_err() {
        tracing::warn!(
            connections = tasks.len(),
            "requests did not finish in time: cut"
        );
        server.cut.cancel();
        tasks.wait().await;
    }
}

async fn accept_all(
    listener: &TcpListener,
    server: &Arc<Server>,
    tasks: &TaskTracker,
) -> std::convert::Infallible {
    let slots = Slots::new(
        server.limits.connections_max,
        server.limits.connections_per_peer_max,
    );
    loop {
        let place = slots.one_of_all().await;
        let (tcp, peer) = accept(listener).await;
        let Some(slot) = slots.for_peer(place, peer.ip()) else {
            tracing::debug!(%peer, "refused: its address has as many connections as allowed");
            continue;
        };
        tasks.spawn(Arc::clone(server).attend(tcp, peer, slot));
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
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                if !out_of_resources {
                    tracing::error!(%error, "cannot accept connections; trying on");
                }
                out_of_resources = true;
                tokio::time::sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
}

/// Whether accepting failed because of this one connection, so that the next may be fine.
fn is_the_clients(error: &io::Error) -> bool {
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
        // Not hyper-util's, which looks for HTTP/2 first: a head that is read in two makes hyper double its buffer.
        let mut http = http1::Builder::new();
        http.max_buf_size(head_bytes_max)
            // The buffer may be read a little fuller than that.
            .max_header_size(head_bytes_max)
            // Ours (in `guard`) tells an idle connection from an unfinished head; hyper's does not.
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
    async fn attend(self: Arc<Self>, tcp: TcpStream, peer: SocketAddr, slot: Slot) {
        tokio::select! {
            () = self.cut.cancelled() => {}
            () = self.talk(tcp, peer, slot) => {}
        }
    }

    async fn talk(&self, tcp: TcpStream, peer: SocketAddr, slot: Slot) {
        self.tune(&tcp);
        let activity = Arc::<Activity>::default();
        let guarded = Guarded::new(tcp, slot, Arc::clone(&activity), &self.limits);
        let connection = match self.shake_hands(guarded).await {
            Ok(connection) => connection,
            Err(error) => return tracing::debug!(%peer, %error, "TLS handshake failed"),
        };
        let requests = Requests {
            router: self.router.clone(),
            peer,
            activity,
            limits: Arc::clone(&self.limits),
        };
        if let Err(error) = self.speak_http(connection, requests).await {
            tracing::debug!(%peer, %error, "connection ended");
        }
    }

    async fn speak_http(
        &self,
        connection: Connection,
        requests: Requests,
    ) -> Result<(), axum::BoxError> {
        let io = TokioIo::new(connection);
        let activity = Arc::clone(&requests.activity);
        let mut http = self.http.serve_connection(io, requests).with_upgrades();
        let mut draining = std::pin::pin!(self.draining.cancelled());
        let mut is_draining = false;
        let handover = poll_fn(|cx| {
            if let Poll::Ready(ended) = Pin::new(&mut http).poll(cx) {
                return Poll::Ready(ended.map(|()| None));
            }
            if let Some(handover) = activity.takes_over() {
                return Poll::Ready(Ok(Some(handover)));
            }
            if !is_draining && draining.as_mut().poll(cx).is_ready() {
                is_draining = true;
                Pin::new(&mut http).graceful_shutdown();
                // There may be nothing that would wake it.
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        });
        let handover = handover.await?;
        if let Some((handover, http)) = handover.zip(http.into_parts()) {
            handover.give(http.io.into_inner());
        }
        Ok(())
    }

    /// Best effort: a connection without these still works.
    fn tune(&self, tcp: &TcpStream) {
        let _ = tcp.set_nodelay(true);
        if self.limits.send_buffer_bytes > 0 {
            let bytes = usize::try_from(self.limits.send_buffer_bytes).unwrap_or(usize::MAX);
            let _ = socket2::SockRef::from(tcp).set_send_buffer_size(bytes);
        }
    }

    #[cfg(feature = "tls")]
    async fn shake_hands(&self, guarded: Guarded) -> io::Result<Connection> {
        let Some(tls) = &self.tls else {
            return Ok(Connection::plain(guarded));
        };
        let handshake = tls.acceptor.accept(guarded);
        let stream = tokio::time::timeout(self.limits.head_timeout, handshake).await??;
        Ok(Connection::tls(stream))
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_async, reason = "the same shape as with TLS")]
    async fn shake_hands(&self, guarded: Guarded) -> io::Result<Connection> {
        Ok(Connection::plain(guarded))
    }
}
