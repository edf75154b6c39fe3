//! The accept loop against clients that are slow, silent, malformed or many.
//!
//! Where a test waits for a limit, the clock is paused: it jumps to the next timer as soon as nothing
//! else is left to do, so that ten seconds take none.

mod attacks;
mod caps;
mod life;
mod malformed;
#[cfg(feature = "tls")]
mod tls;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use tallycast::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The scorecard's bound on how long a slow client may live.
const SLOW_CLIENT_MAX: Duration = Duration::from_secs(15);

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const GET_AND_CLOSE: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// A server on a port of its own, until it is shut down or dropped.
struct Server {
    address: SocketAddr,
    shutdown: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(router: Router, limits: Limits) -> Self {
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

    async fn client(&self) -> Client {
        Client(TcpStream::connect(self.address).await.unwrap())
    }

    fn begin_shutdown(&mut self) {
        let signal = self.shutdown.take().expect("shut down once");
        signal.send(()).expect("the server is running");
    }

    async fn ended(self) {
        self.task.await.unwrap();
    }
}

/// A client that says exactly what it is told to.
struct Client(TcpStream);

impl Client {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Everything until the server closes, a reset included.
    async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        let _ = self.0.read_to_end(&mut bytes).await;
        String::from_utf8(bytes).unwrap()
    }

    /// One answer with a `Content-Length`, or what came before the server closed.
    async fn answer(&mut self) -> String {
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

fn status(answer: &str) -> Option<u16> {
    answer.split(' ').nth(1)?.parse().ok()
}
