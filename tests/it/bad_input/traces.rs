//! What the binary leaves of its clients at log level trace, in the log and in the metrics: no token, no ticket, no
//! secret, nothing that a customer wrote, and nothing that a terminal obeys.

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{
    SOON,
    binary::Workdir,
    follow_client::{FollowOptions, Transport, follow},
    raw_http::HANDSHAKE,
    tokens::{Key, OTHER_SECRET, claims, seconds, token},
    watched_binary::WatchedBinary,
};

/// The server's secret.
const SERVER_SECRET: &str = "server-secret-4b1d7c90e2f5a83617";
/// What a customer's text, name, id and subject contain.
const PRIVATE: &str = "private-9c1e";
/// A terminal obeys these: an escape sequence, a change of direction, a line break.
const CONTROLS: &str = "\u{1b}[2J\u{9b}31m\u{202e}\u{2066}\r\n";
/// Short parts of a token occur by chance.
const PART_BYTES_MIN: usize = 16;

/// A server at level trace, and everything that must not be in its log.
struct Attack {
    served: WatchedBinary,
    token: String,
    secrets: Vec<String>,
}

impl Attack {
    async fn begin(workdir: &Workdir, format: &str) -> Self {
        workdir.write("secret.txt", SERVER_SECRET);
        let settings = ["--log-level", "trace", "--log", format];
        let served = WatchedBinary::new(workdir.serve(&settings).await);
        let account = json!([format!("account-{PRIVATE}")]);
        let all = json!({
            "sub": format!("subject-{PRIVATE}"), "accounts": account, "jti": format!("id-{PRIVATE}"),
            "scope": "watch record push admin",
        });
        let signed = |claims: &Value, secret: &str| {
            token(&json!({ "alg": "HS256" }), claims, &Key::secret(secret))
        };
        let token = signed(&claims(all.clone()), SERVER_SECRET);
        let mut expired = all;
        expired["exp"] = json!(seconds(-60));
        let expired = signed(&claims(expired), SERVER_SECRET);
        let forged = signed(&claims(json!({ "sub": PRIVATE })), OTHER_SECRET);
        let secrets = vec![SERVER_SECRET.to_owned(), token.clone(), expired, forged];
        Self {
            served,
            token,
            secrets,
        }
    }

    /// Sends bytes on a connection of its own, and reads for as long as the server answers at once.
    async fn send(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut tcp = TcpStream::connect(&self.served.address).await.unwrap();
        // A refused client may find the connection closed before it has sent everything.
        let _cut = tcp.write_all(bytes.as_ref()).await;
        let mut answer = Vec::new();
        while !String::from_utf8_lossy(&answer).contains("\r\n\r\n") {
            let read = timeout(SOON, tcp.read_buf(&mut answer)).await;
            if read.expect("an answer").unwrap_or(0) == 0 {
                break;
            }
        }
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Sends a request with this token and body; returns the answer of one that is JSON.
    async fn call(&self, method: reqwest::Method, path: &str, body: Value) -> (u16, Value) {
        let url = format!("http://{}{path}", self.served.address);
        let request = reqwest::Client::new().request(method, url);
        let request = request.bearer_auth(&self.token).json(&body).timeout(SOON);
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    /// Uses the API as a service and an administrator do, with private texts wherever there is room for one.
    async fn use_everything(&mut self) {
        let account = format!("account-{PRIVATE}");
        let text = format!("text-{PRIVATE}{CONTROLS}");
        let post = reqwest::Method::POST;
        let put = reqwest::Method::PUT;
        let event = json!({
            "id": format!("id-{PRIVATE}"), "account": account, "amount": "1", "unit": "CNY",
            "category": text, "description": text, "attributes": { "a": text },
        });
        for expected in [201, 200] {
            let (status, _) = self.call(post.clone(), "/v1/events", event.clone()).await;
            assert_eq!(status, expected);
        }
        let mut conflict = event;
        conflict["amount"] = json!("2");
        assert_eq!(self.call(post.clone(), "/v1/events", conflict).await.0, 409);
        let profile = json!({ "name": format!("name-{PRIVATE}"), "time_zone": "Asia/Shanghai" });
        let path = format!("/v1/accounts/{account}");
        assert_eq!(self.call(put, &path, profile).await.0, 200);
        let push = json!({ "to": { "account": account }, "event": "coupon", "data": text });
        assert_eq!(self.call(post.clone(), "/v1/push", push).await.0, 200);
        let (status, minted) = self.call(post.clone(), "/v1/tickets", json!({})).await;
        assert_eq!(status, 201, "{minted}");
        let ticket = minted["ticket"].as_str().unwrap().to_owned();
        for (path, headers) in [
            ("ws", HANDSHAKE),
            ("sse", ""),
            ("stream", ""),
            ("iframe", ""),
        ] {
            let callback = ["", "&callback=f"][usize::from(path == "iframe")];
            let request = format!(
                "GET /v1/feeds/{account}/{path}?ticket={ticket}{callback} HTTP/1.1\r\nHost: x\r\n{headers}\r\n"
            );
            let answer = self.send(request).await;
            let is_open = ["HTTP/1.1 101 ", "HTTP/1.1 200 "].map(|start| answer.starts_with(start));
            assert!(is_open.contains(&true), "{path}: {answer}");
        }
        let by_ticket = FollowOptions {
            token: ticket.clone(),
            ..self.options(&self.token)
        };
        self.follow(Transport::SocketIo, &by_ticket).await;
        self.secrets.push(ticket);
        for revocation in [
            json!({ "jti": format!("other-id-{PRIVATE}") }),
            json!({ "subject": format!("other-{PRIVATE}"), "issued_before": "2020-01-01T00:00:00Z" }),
        ] {
            let (status, answer) = self.call(post.clone(), "/v1/revocations", revocation).await;
            assert_eq!(status, 201, "{answer}");
        }
        let gone = json!({ "account": account });
        assert_eq!(self.call(post, "/v1/disconnect", gone).await.0, 200);
    }

    fn options(&self, token: &str) -> FollowOptions {
        FollowOptions {
            address: self.served.address.parse().unwrap(),
            account: format!("account-{PRIVATE}"),
            token: token.to_owned(),
            after: None,
            mode: None,
        }
    }

    async fn follow(&self, transport: Transport, options: &FollowOptions) {
        let mut client = follow(transport, options).await.unwrap();
        let first = client.next().await.unwrap();
        assert!(first.contains("snapshot"), "{transport:?}: {first}");
    }

    /// Follows on every transport with every token, good or not.
    async fn follow_everywhere(&self) {
        for transport in Transport::ALL {
            self.follow(transport, &self.options(&self.token)).await;
            for bad in &self.secrets {
                // On Socket.IO, a ticket may stand in the place of a token.
                if *bad != self.token && !bad.starts_with("ticket.") {
                    let refused = follow(transport, &self.options(bad)).await.err();
                    assert!(refused.is_some(), "{transport:?}");
                }
            }
        }
    }

    /// Sends each secret, private text and control character in every part of a request.
    async fn attack(&self) {
        let token = &self.token;
        let private = format!("header-{PRIVATE}");
        let control = "%1b[2J%0d%0a%E2%80%AE";
        for word in self.secrets.iter().chain([&private]) {
            for request in [
                format!("GET /v1/feeds/{word} HTTP/1.1\r\nHost: x\r\n\r\n"),
                format!("GET /v1/feeds/a/sse?ticket={word} HTTP/1.1\r\nHost: x\r\n\r\n"),
                format!("GET /v1/feeds/a?token={word}&{control} HTTP/1.1\r\nHost: x\r\n\r\n"),
                format!("GET /{word}/{control} HTTP/1.1\r\nHost: x\r\n\r\n"),
                format!("GET http://{word}/v1/feeds/a HTTP/1.1\r\nHost: {word}\r\n\r\n"),
                format!("{word} / HTTP/1.1\r\nHost: x\r\n\r\n"),
                format!("GET / {word}\r\nHost: x\r\n\r\n"),
                format!("GET / HTTP/1.1\r\nHost: x\r\n{word}: y\r\n\r\n"),
                format!("GET / HTTP/1.1\r\nHost: x\r\nX: {word}\n\r\n\r\n"),
                format!("GET / HTTP/1.1\r\nHost: x\r\nX: \u{1b}[2J{word}\r\n\r\n"),
                format!("{word}\r\n\r\n"),
                format!("{word}{CONTROLS}\r\n\r\n"),
                format!(
                    "GET /socket.io/?EIO=4&transport=polling&sid={word} HTTP/1.1\r\nHost: x\r\n\r\n"
                ),
                format!("GET /socket.io/?EIO={word}&transport={word} HTTP/1.1\r\nHost: x\r\n\r\n"),
                format!(
                    "GET /socket.io/?EIO=4&transport=polling&ticket={word} HTTP/1.1\r\nHost: x\r\n\r\n"
                ),
                format!(
                    "GET /v1/feeds/a/ws HTTP/1.1\r\nHost: x\r\n{HANDSHAKE}Sec-WebSocket-Protocol: {word}\r\n\r\n"
                ),
                format!(
                    "GET /v1/feeds/a/ws HTTP/1.1\r\nHost: x\r\n{}\r\n",
                    HANDSHAKE.replace("dGhlIHNhbXBsZSBub25jZQ==", word)
                ),
                format!(
                    "GET /v1/feeds/a/sse HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
                     Last-Event-ID: {word}\u{202e}\r\nOrigin: {word}\r\nCookie: {word}\r\n\
                     User-Agent: {word}\u{202e}\r\nX-Forwarded-For: {word}\r\nForwarded: for={word}\r\n\
                     Referer: {word}\r\nIf-None-Match: {word}\r\n\r\n"
                ),
                format!(
                    "POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {word}\r\n\
                     Content-Length: 2\r\n\r\n{{}}"
                ),
                format!(
                    "POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
                     Content-Type: {word}\r\nContent-Length: 2\r\n\r\n{{}}"
                ),
                format!(
                    "POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
                     Transfer-Encoding: chunked\r\n\r\n2;{word}\r\n{{}}\r\n{word}"
                ),
                format!(
                    "POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
                     Content-Length: {}\r\n\r\n{{\"{word}\":\"{word}\"}}",
                    2 * word.len() + 7
                ),
                format!(
                    "GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
                    word.repeat(1_000)
                ),
                format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", word.repeat(1_000)),
            ] {
                let request = match request.contains("Connection") {
                    true => request,
                    false => request.replacen("\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1),
                };
                self.send(request).await;
            }
            self.attack_sockets(word).await;
        }
    }

    /// The same within the packets and frames of connections that are open.
    async fn attack_sockets(&self, word: &str) {
        let auth = json!({ "token": self.token, "account": format!("account-{PRIVATE}") });
        for packet in [
            format!("42/feed,1[\"authenticate\",{}]", json!({ "token": word })),
            format!("42/feed,1[\"{word}\u{202e}\",{{}}]"),
            format!("42/feed,1[\"history\",{{\"account\":\"{word}\"}}]"),
            format!("42/{word},[\"a\"]"),
            format!("40/{word},{{}}"),
            format!("42/feed,[\"{word}\u{1b}"),
            format!("4{word}"),
            format!("{word}{CONTROLS}"),
        ] {
            let host = format!(
                "ws://{}/socket.io/?EIO=4&transport=websocket",
                self.served.address
            );
            self.frames(&host, &[format!("40/feed,{auth}"), packet])
                .await;
        }
        let url = format!("ws://{}/v1/feeds/account-{PRIVATE}/ws", self.served.address);
        for text in [
            json!({ "type": "authenticate", "token": word }).to_string(),
            json!({ "type": word, "id": word, CONTROLS: word }).to_string(),
            format!("{{\"{word}{CONTROLS}"),
        ] {
            self.frames(&url, &[text]).await;
        }
    }

    /// Opens a WebSocket, sends these texts, closes it, and reads to its end.
    async fn frames(&self, url: &str, texts: &[String]) {
        use futures_util::{SinkExt, StreamExt};
        use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};
        let mut request = url.into_client_request().unwrap();
        let bearer = format!("Bearer {}", self.token).try_into().unwrap();
        request.headers_mut().insert("authorization", bearer);
        let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
        for text in texts {
            // The previous one may have closed the connection.
            let _cut = socket.send(Message::text(text.clone())).await;
        }
        let _cut = socket.close(None).await;
        while let Some(Ok(_)) = timeout(SOON, socket.next()).await.expect("its end") {}
    }

    /// Stops the server and searches what it left.
    async fn search(self) {
        let metrics = reqwest::get(format!("{}/metrics", self.served.admin))
            .await
            .unwrap();
        let metrics = metrics.text().await.unwrap();
        let log = self.served.log().await;
        assert!(
            log.contains("refused a caller"),
            "the log is not at level trace"
        );
        assert!(log.lines().count() > 100, "{log}");
        assert!(!log.contains("panicked at"), "{log}");
        let parts = self.secrets.iter().flat_map(|secret| secret.split('.'));
        let parts = parts
            .filter(|part| part.len() >= PART_BYTES_MIN)
            .chain([PRIVATE]);
        for part in parts {
            let hex: String = part.bytes().map(|byte| format!("{byte:02x}")).collect();
            for (name, text) in [("log", &log), ("metrics", &metrics)] {
                for seen in [part, &hex] {
                    let line = text.lines().find(|line| line.contains(seen));
                    assert!(line.is_none(), "{seen} in the {name}: {line:?}");
                }
            }
        }
        let obeyed = |sign: &char| {
            let turns = matches!(sign, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            turns || (sign.is_control() && *sign != '\n')
        };
        for (name, text) in [("log", &log), ("metrics", &metrics)] {
            let line = text
                .lines()
                .find(|line| line.chars().any(|sign| obeyed(&sign)));
            assert!(
                line.is_none(),
                "a control character in the {name}: {line:?}"
            );
        }
    }
}

#[tokio::test]
async fn no_secret_and_no_text_of_a_client_is_left_at_level_trace() {
    for format in ["pretty", "json"] {
        let workdir = Workdir::new();
        let mut attack = Attack::begin(&workdir, format).await;
        attack.use_everything().await;
        attack.follow_everywhere().await;
        attack.attack().await;
        attack.search().await;
    }
}
