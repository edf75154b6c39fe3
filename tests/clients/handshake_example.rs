//! `examples/handshake.mjs`: a WebSocket on a plain TCP socket.

use std::process::Stdio;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    net::TcpListener,
    process::{Child, ChildStdout, Command},
    time::timeout,
};
use tokio_tungstenite::{accept_async, tungstenite::Message};

use crate::{server::Server, stock::SOON};

#[tokio::test]
async fn handmade_client_follows_a_feed() {
    let mut server = Server::start().await;
    // A snapshot of over 64 KiB: the longest of the three ways to write a length.
    let attributes: serde_json::Map<_, _> = (0..12)
        .map(|number| (number.to_string(), json!("€".repeat(256))))
        .collect();
    for _ in 0..8 {
        server
            .record_with(json!({ "attributes": attributes }))
            .await;
    }
    let url = server.url.replace("http", "ws");
    let mut client = Handmade::start(&url, &server.token("alice").await);
    let mut types = Vec::new();
    while types.len() < 3 {
        let message = client.message().await;
        if message["type"] == "snapshot" {
            assert!(message.to_string().len() > 0xffff);
            assert_eq!(message["recent"][7]["attributes"], json!(attributes));
        }
        types.push(message["type"].as_str().unwrap().to_owned());
    }
    // It sends a request at once, and the answer may come in between.
    types.sort_unstable();
    assert_eq!(types, ["live", "pong", "snapshot"]);
    server.record(1).await;
    let update = client.message().await;
    assert_eq!(
        (&update["type"], &update["to"]),
        (&json!("update"), &json!(9))
    );
}

#[tokio::test]
async fn handmade_client_answers_pings() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let _client = Handmade::start(&url, "token");
    let (tcp, _) = timeout(SOON, listener.accept()).await.unwrap().unwrap();
    // It fails on frames that are not masked.
    let mut socket = accept_async(tcp).await.unwrap();
    socket.send(Message::Ping("there?".into())).await.unwrap();
    let asked = timeout(SOON, socket.next()).await.unwrap().unwrap();
    assert_eq!(asked.unwrap(), Message::text(r#"{"type":"ping"}"#));
    let pong = timeout(SOON, socket.next()).await.unwrap().unwrap();
    assert_eq!(pong.unwrap(), Message::Pong("there?".into()));
}

#[tokio::test]
async fn handmade_client_takes_no_answer_to_another_key() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let mut client = Handmade::start(&url, "token");
    let (mut tcp, _) = timeout(SOON, listener.accept()).await.unwrap().unwrap();
    // The answer to the key of the RFC's example.
    let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                  Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    tcp.write_all(answer.as_bytes()).await.unwrap();
    assert_eq!(client.complaint().await, "this is no answer to our key\n");
}

#[tokio::test]
async fn handmade_client_says_how_it_is_refused() {
    let server = Server::start().await;
    let url = server.url.replace("http", "ws");
    let mut client = Handmade::start(&url, "nonsense");
    assert_eq!(client.complaint().await, "HTTP/1.1 401 Unauthorized\n");
}

struct Handmade {
    lines: Lines<BufReader<ChildStdout>>,
    process: Child,
}

impl Handmade {
    fn start(url: &str, token: &str) -> Self {
        let mut process = Command::new("node")
            .args(["examples/handshake.mjs", url, token, "alice"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self {
            lines: BufReader::new(process.stdout.take().unwrap()).lines(),
            process,
        }
    }

    async fn message(&mut self) -> Value {
        let line = timeout(SOON, self.lines.next_line()).await.unwrap();
        serde_json::from_str(&line.unwrap().expect("it goes on")).unwrap()
    }

    /// Its error output.
    async fn complaint(&mut self) -> String {
        let mut text = String::new();
        let mut stderr = self.process.stderr.take().unwrap();
        let read = timeout(SOON, stderr.read_to_string(&mut text)).await;
        read.unwrap().unwrap();
        assert_eq!(self.process.wait().await.unwrap().code(), Some(1));
        text
    }
}
