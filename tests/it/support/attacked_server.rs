//! A server under attack: an entry of another account that no attacker may receive, raw connections that look for it,
//! and the proof that the server serves everybody else.

use serde_json::{Value, json};
use tallycast::{Hub, HubBuilder, Jwt, Memory, Origins};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{
    SOON,
    host::Host,
    raw_http::{CANARY, RawAnswer, RawServer, get},
    tokens::{SECRET, bearer},
};

/// Asserts that the canary is not in what a client other than bob received. Every raw connection and WebSocket of the
/// tests calls it.
pub(crate) fn assert_silent(received: impl AsRef<[u8]>) {
    let text = String::from_utf8_lossy(received.as_ref());
    assert!(!text.contains(CANARY), "bob's entry: {text}");
}

/// A server with two entries of alice, and the canary in bob's account.
///
/// Attackers have no token, or alice's. [`Self::assert_unharmed`] belongs at the end of each test.
pub(crate) struct AttackedServer {
    raw: RawServer,
}

impl AttackedServer {
    pub(crate) async fn open() -> Self {
        Self::with(Origins::same_origin()).await
    }

    pub(crate) async fn with(origins: Origins) -> Self {
        Self::of(Self::settings().allowed_origins(origins)).await
    }

    pub(crate) async fn of(settings: HubBuilder) -> Self {
        let raw = RawServer::of(settings).await;
        Self { raw }
    }

    /// A hub in memory that takes the tokens of `support::tokens`.
    pub(crate) fn settings() -> HubBuilder {
        Hub::builder(Memory::new(), Jwt::hs256(SECRET).unwrap())
    }

    pub(crate) fn host(&self) -> &Host {
        &self.raw.host
    }

    /// Sends a request on its own connection; returns the whole answer, or the head of a streamed one.
    pub(crate) async fn ask(&self, request: impl AsRef<[u8]>) -> RawAnswer {
        self.raw.ask(request).await
    }

    /// Sends a request with a token and a JSON body, as [`Self::ask`] does.
    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        token: &str,
        body: impl AsRef<[u8]>,
    ) -> RawAnswer {
        let json = "Content-Type: application/json\r\n";
        self.call_with(method, path, token, json, body).await
    }

    /// The same with headers of its own.
    pub(crate) async fn call_with(
        &self,
        method: &str,
        path: &str,
        token: &str,
        headers: &str,
        body: impl AsRef<[u8]>,
    ) -> RawAnswer {
        let body = body.as_ref();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{headers}\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        self.ask([head.as_bytes(), body].concat()).await
    }

    /// A ticket for the one account of this token.
    pub(crate) async fn ticket(&self, token: &str) -> String {
        self.raw.ticket(token).await
    }

    /// How many entries alice has.
    pub(crate) async fn alices_offset(&self) -> u64 {
        self.snapshot("alice").await["offset"].as_u64().unwrap()
    }

    /// A connection that sends any bytes.
    pub(crate) async fn connect(&self) -> Attacker {
        let tcp = TcpStream::connect(self.host().address).await.unwrap();
        Attacker {
            tcp,
            received: Vec::new(),
        }
    }

    /// Asserts that the server is healthy on fresh connections, that bob's entry is still there and only bob sees it,
    /// and that alice's feed goes on.
    ///
    /// The time of an answer has a generous bound here, since all tests share the processor of a debug build. That
    /// health answers within 100 ms under attack is measured by `make fault`.
    pub(crate) async fn assert_unharmed(&self) {
        self.raw.assert_healthy().await;
        let bob = self.snapshot("bob").await;
        assert!(bob.to_string().contains(CANARY), "bob lost his entry");
        let before = self.snapshot("alice").await;
        assert_silent(before.to_string());
        let offset = before["offset"].as_u64().unwrap();
        self.host()
            .record("alice", offset + 1_000..=offset + 1_000)
            .await;
        let after = self.snapshot("alice").await;
        assert_eq!(after["offset"], json!(offset + 1), "alice's feed goes on");
    }

    /// What an account's own token sees of it, on a connection of its own.
    async fn snapshot(&self, account: &str) -> Value {
        let mut own = self.connect().await;
        own.send(get(account, "", "", &bearer(json!({ "sub": account }))))
            .await;
        let answer = own.unchecked_rest().await;
        let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
        serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"))
    }
}

/// A raw connection. Nothing that it receives may contain the canary.
pub(crate) struct Attacker {
    pub(crate) tcp: TcpStream,
    received: Vec<u8>,
}

impl Attacker {
    /// Sends bytes; returns whether the server still took them. A refused client may find its connection closed.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let sending = self.tcp.write_all(bytes.as_ref());
        timeout(SOON, sending).await.expect("sent in time").is_ok()
    }

    /// Reads until what was received contains `text`; returns all of it.
    pub(crate) async fn until(&mut self, text: &str) -> String {
        while !self.text().contains(text) {
            assert!(self.read().await, "closed before {text:?}: {}", self.text());
        }
        self.text()
    }

    /// Reads until the server closes; returns everything that was received.
    pub(crate) async fn rest(&mut self) -> String {
        let text = self.unchecked_rest().await;
        assert_silent(&text);
        text
    }

    async fn unchecked_rest(&mut self) -> String {
        while self.read_unchecked().await {}
        self.text()
    }

    /// Reads once; false at the end.
    async fn read(&mut self) -> bool {
        let is_open = self.read_unchecked().await;
        assert_silent(&self.received);
        is_open
    }

    async fn read_unchecked(&mut self) -> bool {
        let reading = self.tcp.read_buf(&mut self.received);
        timeout(SOON, reading).await.expect("bytes").unwrap_or(0) > 0
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.received).into_owned()
    }
}
