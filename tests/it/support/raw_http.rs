//! HTTP requests as raw text, and a server that must not show another account's data.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tallycast::{Hub, HubBuilder, Jwt, Memory, Origins};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use crate::support::{
    SOON,
    attacked_server::assert_silent,
    host::Host,
    tokens::{SECRET, bearer},
};

/// A text in bob's account, which no caller here may see.
pub(crate) const CANARY: &str = "canary-51d0";

/// The routes that keep a response or a connection open.
pub(crate) const OPEN_ROUTES: [&str; 4] = ["ws", "sse", "stream", "iframe"];

/// The headers of a WebSocket handshake.
pub(crate) const HANDSHAKE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A server with the canary in bob's account, and its admin listener.
pub(crate) struct RawServer {
    pub(crate) host: Host,
    admin: Host,
}

impl RawServer {
    pub(crate) async fn open() -> Self {
        Self::with(Origins::same_origin()).await
    }

    pub(crate) async fn with(origins: Origins) -> Self {
        let settings = Hub::builder(Memory::new(), Jwt::hs256(SECRET).unwrap());
        Self::of(settings.allowed_origins(origins)).await
    }

    pub(crate) async fn of(settings: HubBuilder) -> Self {
        let hub = settings.build().await.unwrap();
        let admin = hub.admin_router(String::new);
        let admin = Host::embed(hub.clone(), admin, "").await;
        let host = Host::start(hub).await;
        host.record("alice", 1..=2).await;
        host.record_described("bob", 1, CANARY).await;
        Self { host, admin }
    }

    /// Sends a request; returns the whole answer, or the head of a streamed one. The canary must not be in it.
    pub(crate) async fn ask(&self, request: impl AsRef<[u8]>) -> RawAnswer {
        let mut tcp = TcpStream::connect(self.host.address).await.unwrap();
        // A refused client may find the connection closed before it has sent everything.
        let _cut = tcp.write_all(request.as_ref()).await;
        let mut text = Vec::new();
        let reading = async {
            loop {
                let answer = RawAnswer(String::from_utf8_lossy(&text).into_owned());
                if matches!(answer.status(), Some(101 | 200)) && answer.0.contains("\r\n\r\n") {
                    break;
                }
                if tcp.read_buf(&mut text).await.unwrap_or(0) == 0 {
                    break;
                }
            }
        };
        timeout(SOON, reading).await.expect("an answer");
        let answer = RawAnswer(String::from_utf8_lossy(&text).into_owned());
        assert_silent(&answer.0);
        answer
    }

    /// Sends a request; returns an answer that ends by itself.
    pub(crate) async fn ask_to_end(&self, request: &str) -> String {
        let mut tcp = TcpStream::connect(self.host.address).await.unwrap();
        tcp.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        let reading = tcp.read_to_string(&mut text);
        timeout(SOON, reading).await.expect("its end").unwrap();
        assert_silent(&text);
        text
    }

    /// A ticket for the one account of this token.
    pub(crate) async fn ticket(&self, token: &str) -> String {
        let minting = format!(
            "POST /v1/tickets HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
             Content-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let minted = self.ask_to_end(&minting).await;
        let (_, minted) = minted.split_once("\r\n\r\n").unwrap();
        let minted: Value = serde_json::from_str(minted).unwrap();
        minted["ticket"].as_str().unwrap().to_owned()
    }

    /// Asserts that the server still serves.
    pub(crate) async fn assert_healthy(&self) {
        for path in ["live", "ready"] {
            let url = format!("http://{}/health/{path}", self.admin.address);
            let health = reqwest::Client::new().get(url).timeout(SOON).send().await;
            assert_eq!(health.unwrap().status(), 200, "{path}");
        }
        let answer = self.ask(get("alice", "sse", "", &bearer(json!({})))).await;
        assert_eq!(answer.status(), Some(200));
    }
}

/// An answer as raw text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RawAnswer(pub(crate) String);

impl RawAnswer {
    pub(crate) fn status(&self) -> Option<u16> {
        status(&self.0)
    }

    pub(crate) fn refusal(&self) -> (Option<u16>, Value) {
        let (_, body) = self.0.split_once("\r\n\r\n").unwrap_or_default();
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        (self.status(), body["code"].clone())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (head, _) = self.0.split_once("\r\n\r\n")?;
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The answer without its date.
    pub(crate) fn undated(&self) -> String {
        let lines = self.0.lines();
        lines.filter(|line| !line.starts_with("date: ")).collect()
    }
}

/// The status of an answer, or none where the connection closed without one.
pub(crate) fn status(answer: &str) -> Option<u16> {
    answer.split(' ').nth(1)?.parse().ok()
}

/// The statuses of several answers, one behind the other.
pub(crate) fn statuses(answers: &str) -> Vec<u16> {
    let answers = answers.split("HTTP/1.1 ").skip(1);
    let statuses = answers.map(|answer| answer[..3].parse().unwrap());
    statuses.collect()
}

/// A connection with a small receive buffer: the server soon finds it full when nothing is read.
pub(crate) async fn connect_narrow(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    socket.connect(address).await.unwrap()
}

/// A request to follow a feed; `route` is one of the open routes, or empty for polling.
pub(crate) fn get(account: &str, route: &str, query: &str, token: &str) -> String {
    request(
        "GET",
        account,
        route,
        query,
        &format!("Authorization: Bearer {token}\r\n"),
    )
}

pub(crate) fn request(
    method: &str,
    account: &str,
    route: &str,
    query: &str,
    headers: &str,
) -> String {
    let slash = if route.is_empty() { "" } else { "/" };
    let callback = match (route, query.contains("callback")) {
        ("iframe", false) => "callback=f&",
        _ => "",
    };
    let upgrade = match route {
        "ws" => HANDSHAKE,
        _ => "",
    };
    // An upgrade keeps the connection; a refusal closes it because of `Connection: close`.
    format!(
        "{method} /v1/feeds/{account}{slash}{route}?{callback}{query} HTTP/1.1\r\nHost: x\r\n\
         {upgrade}{headers}Connection: close\r\n\r\n"
    )
}
