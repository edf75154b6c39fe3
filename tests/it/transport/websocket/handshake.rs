//! The opening handshake of the raw WebSocket, by RFC 6455 section 4.

use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::support::{
    api_server::answer,
    feed_hub::{ALICE, host},
    host::Host,
    raw_http::status,
    raw_websocket::{KEY, RawWebSocket, ask, request, text},
};

const VERSION: &str = "Sec-WebSocket-Version: 13\r\n";

/// The head of the answer to the usual request with one text replaced.
async fn head(host: &Host, usual: &str, other: &str) -> String {
    let request = request("/v1/feeds/alice/ws", ALICE);
    assert!(request.contains(usual), "{usual}");
    let mut tcp = TcpStream::connect(host.address).await.unwrap();
    ask(&mut tcp, &request.replacen(usual, other, 1)).await
}

#[tokio::test]
async fn the_key_is_answered_as_in_the_standards_example() {
    let host = host().await;
    let head = head(&host, "", "").await;
    assert_eq!(status(&head), Some(101));
    for line in [
        "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
        "upgrade: websocket\r\n",
        "connection: Upgrade\r\n",
    ] {
        assert!(head.contains(line), "{line} in {head}");
    }
    assert!(!head.contains("sec-websocket-protocol"), "{head}");
    assert!(!head.contains("sec-websocket-extensions"), "{head}");
}

#[tokio::test]
async fn a_request_that_opens_no_websocket_gets_its_status() {
    let host = host().await;
    let cases = [
        ("no key", KEY, "", 400),
        ("two keys", KEY, &KEY.repeat(2), 400),
        ("a short key", KEY, "Sec-WebSocket-Key: c2hvcnQ=\r\n", 400),
        (
            "a long key",
            KEY,
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSE=\r\n",
            400,
        ),
        (
            "a key that is no base64",
            KEY,
            "Sec-WebSocket-Key: ????????????????????????\r\n",
            400,
        ),
        ("an empty key", KEY, "Sec-WebSocket-Key: \r\n", 400),
        ("version 8", "Version: 13", "Version: 8", 426),
        ("no version", VERSION, "", 426),
        ("version 013", "Version: 13", "Version: 013", 426),
        ("several versions", "Version: 13", "Version: 13, 8", 426),
        ("a POST", "GET ", "POST ", 405),
        ("a HEAD", "GET ", "HEAD ", 405),
        ("no Upgrade", "Upgrade: WebSocket\r\n", "", 400),
        ("another Upgrade", "Upgrade: WebSocket", "Upgrade: h2c", 400),
        (
            "no Connection",
            "Connection: keep-alive, Upgrade\r\n",
            "",
            400,
        ),
        (
            "a Connection without it",
            "keep-alive, Upgrade",
            "keep-alive",
            400,
        ),
        ("HTTP/1.0", "HTTP/1.1", "HTTP/1.0", 400),
        ("no token", "Authorization: Bearer", "X: ", 401),
        ("another's account", "feeds/alice", "feeds/bob", 404),
        ("a callback", "alice/ws", "alice/ws?callback=f", 400),
    ];
    for (name, usual, other, expected) in cases {
        let head = head(&host, usual, other).await;
        assert_eq!(status(&head), Some(expected), "{name}: {head}");
        if expected == 426 {
            assert!(head.contains("sec-websocket-version: 13\r\n"), "{head}");
        }
        if expected == 405 {
            assert!(head.contains("allow: GET\r\n"), "{head}");
        }
    }
    // None of them left a session, and the next request is served.
    assert_eq!(status(&self::head(&host, "", "").await), Some(101));
}

#[tokio::test]
async fn names_and_tokens_are_read_in_any_case_and_among_others() {
    let host = host().await;
    for (usual, other) in [
        ("Upgrade: WebSocket", "Upgrade: h2c, websocket"),
        ("Upgrade: WebSocket", "upgrade: WEBSOCKET"),
        ("keep-alive, Upgrade", "upgrade"),
        (
            "Connection: keep-alive, Upgrade\r\n",
            "Connection: keep-alive\r\nConnection: UPGRADE\r\n",
        ),
        (KEY, "sec-websocket-key:dGhlIHNhbXBsZSBub25jZQ==  \r\n"),
    ] {
        assert_eq!(
            status(&head(&host, usual, other).await),
            Some(101),
            "{other}"
        );
    }
}

#[tokio::test]
async fn a_subprotocol_is_answered_where_ours_is_offered() {
    let host = host().await;
    let offered =
        async |protocols: &str| head(&host, VERSION, &format!("{VERSION}{protocols}")).await;
    for ours in [
        "Sec-WebSocket-Protocol: tallycast.v1\r\n",
        "Sec-WebSocket-Protocol: chat, tallycast.v1, tallycast.v2\r\n",
        "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: tallycast.v1\r\n",
    ] {
        let head = offered(ours).await;
        assert_eq!(status(&head), Some(101), "{ours}");
        let answered = head.matches("sec-websocket-protocol: tallycast.v1\r\n");
        assert_eq!(answered.count(), 1, "{head}");
    }
    for others in ["chat", "tallycast.v2", "tallycast.v11", ""] {
        let head = offered(&format!("Sec-WebSocket-Protocol: {others}\r\n")).await;
        assert_eq!(status(&head), Some(400), "{others:?}");
    }
    let unknown = reqwest::Client::new()
        .get(format!("http://{}/v1/feeds/alice/ws", host.address))
        .bearer_auth(ALICE)
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("sec-websocket-protocol", "chat");
    let refused = answer(unknown).await;
    assert_eq!(refused.refusal(), (400, "unknown_subprotocol"));
}

/// Frames sent before the answer are not lost.
#[tokio::test]
async fn frames_sent_along_with_the_request_are_read() {
    let host = host().await;
    let mut tcp = TcpStream::connect(host.address).await.unwrap();
    let mut early = request("/v1/feeds/alice/ws", ALICE).into_bytes();
    early.extend(text(r#"{"type":"ping","id":"early"}"#));
    tcp.write_all(&early).await.unwrap();
    assert_eq!(status(&ask(&mut tcp, "").await), Some(101));
    let mut socket = RawWebSocket { tcp };
    assert_eq!(socket.until("pong").await["id"], "early");
}
