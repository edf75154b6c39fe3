//! A router served by our accept loop, and a client that sends raw bytes.

use std::net::SocketAddr;

use axum::{
    Router,
    extract::Request,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use hyper_util::rt::TokioIo;
use tallycast::{
    Limits,
    serve::{Connection, Slot},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

pub(crate) const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

pub(crate) const GET_AND_CLOSE: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// A server on a port of its own, until it is shut down or dropped.
pub(crate) struct RouterServer {
    pub(crate) address: SocketAddr,
    shutdown: Option<oneshot::Sender<()>>,
    pub(crate) task: JoinHandle<()>,
}

impl RouterServer {
    pub(crate) async fn start(router: Router, limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shutdown, signal) = oneshot::channel();
        let serve = tallycast::serve(listener, router, limits)
            .with_graceful_shutdown(async { drop(signal.await) });
        Self {
            address,
            shutdown: Some(shutdown),
            task: tokio::spawn(serve.into_future()),
        }
    }

    pub(crate) async fn client(&self) -> RawClient {
        RawClient(TcpStream::connect(self.address).await.unwrap())
    }

    pub(crate) fn begin_shutdown(&mut self) {
        let signal = self.shutdown.take().expect("shut down once");
        signal.send(()).expect("the server is running");
    }

    pub(crate) async fn ended(self) {
        self.task.await.unwrap();
    }
}

/// A client that sends exactly these bytes.
pub(crate) struct RawClient(pub(crate) TcpStream);

impl RawClient {
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Everything until the server closes, a reset included.
    pub(crate) async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        let _ = self.0.read_to_end(&mut bytes).await;
        String::from_utf8(bytes).unwrap()
    }

    /// One answer with a `Content-Length`, or what came before the server closed.
    pub(crate) async fn answer(&mut self) -> String {
        let mut bytes = Vec::new();
        while !is_whole(&bytes) {
            if self.0.read_buf(&mut bytes).await.unwrap() == 0 {
                break;
            }
        }
        String::from_utf8(bytes).unwrap()
    }
}

fn is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    body.len() >= length
}

/// The bytes that came along with the request, and the connection behind them.
pub(crate) type Upgraded = (Vec<u8>, TcpStream, Slot);

/// A router that hands each upgraded connection to the test.
pub(crate) fn upgrading() -> (Router, mpsc::UnboundedReceiver<Upgraded>) {
    let (sender, streams) = mpsc::unbounded_channel();
    let upgrade = move |request: Request| async move {
        tokio::spawn(async move {
            let upgraded = hyper::upgrade::on(request).await.unwrap();
            let parts = upgraded.downcast::<TokioIo<Connection>>().unwrap();
            let mut connection = parts.io.into_inner();
            let early = [parts.read_buf, connection.take_early()].concat();
            let (tcp, slot) = connection.into_tcp().unwrap();
            sender.send((early, tcp, slot)).unwrap();
        });
        let headers = [(header::CONNECTION, "upgrade"), (header::UPGRADE, "raw")];
        (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
    };
    (Router::new().route("/", get(upgrade)), streams)
}

pub(crate) const UPGRADE: &str =
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n";
