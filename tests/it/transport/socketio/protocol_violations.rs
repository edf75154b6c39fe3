//! Frames, requests and packets that break the protocol or a bound are refused, and the server continues.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tallycast::Origins;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::support::{
    SOON,
    feed_hub::{ALICE, host, settings},
    host::Host,
    raw_websocket::{KEY, ask},
};

fn upgrade(headers: &str) -> String {
    format!("GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n{headers}\r\n")
}

/// A raw WebSocket in a session, past its open packet.
async fn raw(host: &Host) -> TcpStream {
    let mut tcp = TcpStream::connect(host.address).await.unwrap();
    let headers = "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\
                   Sec-WebSocket-Version: 13\r\n";
    let answer = ask(&mut tcp, &upgrade(&format!("{headers}{KEY}"))).await;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    assert!(
        answer
            .to_lowercase()
            .contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=")
    );
    let mut start = [0; 2];
    tcp.read_exact(&mut start).await.unwrap();
    let mut open = vec![0; usize::from(start[1])];
    tcp.read_exact(&mut open).await.unwrap();
    tcp
}

/// The code of the close frame that the server sends next.
async fn close_code(tcp: &mut TcpStream) -> Option<u16> {
    let mut received = Vec::new();
    timeout(SOON, tcp.read_to_end(&mut received))
        .await
        .unwrap()
        .ok()?;
    let at = received.iter().position(|byte| *byte == 0x88)?;
    assert_eq!(received[at + 1], 2);
    Some(u16::from_be_bytes([received[at + 2], received[at + 3]]))
}

#[tokio::test]
async fn frames_that_break_the_protocol_close_with_its_code() {
    let host = host().await;
    let masked = |first: u8, payload: &[u8]| {
        let length = 0x80 | u8::try_from(payload.len()).unwrap();
        [&[first, length, 0, 0, 0, 0], payload].concat()
    };
    let cases: Vec<(&str, Vec<u8>, u16)> = vec![
        ("unmasked", vec![0x81, 1, b'3'], 1002),
        ("reserved bit", masked(0xc1, b"3"), 1002),
        ("reserved opcode", masked(0x83, b"3"), 1002),
        ("continuation of nothing", masked(0x80, b"3"), 1002),
        ("fragmented ping", masked(0x09, b""), 1002),
        (
            "long ping",
            [&[0x89, 0xfe, 0, 126, 0, 0, 0, 0][..], &[0; 126]].concat(),
            1002,
        ),
        ("not UTF-8", masked(0x81, &[b'4', 0xff, 0xfe]), 1007),
        ("no engine packet", masked(0x81, b"x"), 1007),
        (
            "too long a frame",
            vec![0x81, 0xff, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0],
            1009,
        ),
        (
            "a length of 2^63",
            vec![0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            1009,
        ),
        (
            "a million fragments",
            [masked(0x01, b""), masked(0x00, b"").repeat(10_000)].concat(),
            1008,
        ),
    ];
    for (name, bytes, code) in cases {
        let mut tcp = raw(&host).await;
        // The server may close the connection during the write.
        let _cut = tcp.write_all(&bytes).await;
        assert_eq!(close_code(&mut tcp).await, Some(code), "{name}");
    }
    host.until_empty().await;
}

#[tokio::test]
async fn fragments_that_are_too_long_together_close_with_1009() {
    let host = host().await;
    let mut tcp = raw(&host).await;
    let part = [&[0xfe, 0xc3, 0x50, 0, 0, 0, 0][..], &[b'x'; 50_000]].concat();
    for first in [0x01, 0x00, 0x00] {
        let _cut = tcp.write_all(&[&[first][..], &part].concat()).await;
    }
    assert_eq!(close_code(&mut tcp).await, Some(1009));
}

#[tokio::test]
async fn a_message_up_to_the_limit_passes() {
    let host = host().await;
    let mut alice = host
        .watch(&json!({ "token": ALICE, "subscribe": false }))
        .await;
    let long = json!({ "account": "x".repeat(99_000) });
    assert_eq!(alice.ask("subscribe", &long).await.1["code"], "too_large");
}

#[tokio::test]
async fn what_is_no_websocket_request_gets_its_status() {
    let host = host().await;
    let cases = [
        ("Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n", "400"),
        (
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n",
            "400",
        ),
        (
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\n",
            "426",
        ),
        ("Connection: Upgrade\r\nUpgrade: websocket\r\n", "426"),
    ];
    for (headers, status) in cases {
        let mut tcp = TcpStream::connect(host.address).await.unwrap();
        let answer = ask(&mut tcp, &upgrade(&format!("{headers}{KEY}"))).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{headers}: {answer}"
        );
    }
    let good = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    for key in [
        "",
        "Sec-WebSocket-Key: short\r\n",
        "Sec-WebSocket-Key: c2hvcnQ=\r\n",
    ] {
        let mut tcp = TcpStream::connect(host.address).await.unwrap();
        let answer = ask(&mut tcp, &upgrade(&format!("{good}{key}"))).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{key}: {answer}");
    }
    assert_eq!(host.hub.sessions(), 0);
}

#[tokio::test]
async fn a_polling_body_over_the_limit_is_413_however_it_comes() {
    let host = host().await;
    let declared = host.poll().await;
    let response = declared.post("4".repeat(100_001)).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);

    let chunked = host.poll().await;
    let piece = || Ok::<_, std::io::Error>("4".repeat(10_000));
    let pieces = futures_util::stream::iter((0..11).map(move |_| piece()));
    let response = chunked.post(reqwest::Body::wrap_stream(pieces)).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);

    // A declared length over the limit is refused before a byte of the body.
    let session = host.poll().await;
    let mut tcp = TcpStream::connect(host.address).await.unwrap();
    let request = format!(
        "POST /socket.io/?{} HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999\r\n\r\n",
        session.query()
    );
    assert!(ask(&mut tcp, &request).await.starts_with("HTTP/1.1 413"));
}

#[tokio::test]
async fn packets_that_are_none_are_refused_or_close() {
    let host = host().await;
    let packets = [
        "451-[\"subscribe\",{\"_placeholder\":true,\"num\":0}]",
        "451000000000000000000-[\"subscribe\"]",
        "45-1-[\"subscribe\"]",
        "45/feed,x",
        "42/feed,[\"subscribe\"",
        "42/feed,[1,{}]",
        "42/feed,[{},{}]",
        "42/feed,{}",
        "43/feed,[]",
        "44/feed,{}",
        "47",
        "4é",
    ];
    for packet in packets {
        let mut alice = host
            .watch(&json!({ "token": ALICE, "subscribe": false }))
            .await;
        alice.ws.send(packet).await;
        let code = alice.ws.closed().await;
        assert_eq!(code, Some(1008), "{packet}");
    }
    // These ask for no ack, so they are dropped silently.
    let mut alice = host
        .watch(&json!({ "token": ALICE, "subscribe": false }))
        .await;
    alice
        .ws
        .send(r#"42/feed,99999999999999999999["subscribe",[]]"#)
        .await;
    alice.ws.send("42/nowhere,[\"subscribe\"]").await;
    assert_eq!(
        alice.ask("history", &json!({})).await.0,
        Vec::<Value>::new()
    );
    // None of these attachments is announced.
    let mut alice = host
        .watch(&json!({ "token": ALICE, "subscribe": false }))
        .await;
    alice.ws.send_binary(b"surprise").await;
    assert_eq!(alice.ws.closed().await, Some(1008));
    // A header that announces no attachments is an ordinary event.
    let mut alice = host
        .watch(&json!({ "token": ALICE, "subscribe": false }))
        .await;
    alice
        .ws
        .send(r#"450-/feed,1["subscribe",{"_placeholder":true,"num":0}]"#)
        .await;
    assert!(alice.ws.packet().await.contains("bad_request"));
    // Two of these sockets did nothing that closes a socket.
    host.until_sessions(2).await;
}

#[tokio::test]
async fn connects_without_end_open_one_socket_and_close() {
    let host = host().await;
    let mut ws = host.ws().await;
    for n in 0..50 {
        ws.send(format!(r#"40/feed,{{"token":"{ALICE}","n":{n}}}"#))
            .await;
    }
    assert!(ws.packet().await.starts_with("40/feed,{"));
    assert_eq!(host.hub.socket_io().of("/feed").unwrap().sockets().len(), 1);
    for n in 0..10_000 {
        let elsewhere = format!("40/nowhere-{n},");
        // The server closes the connection meanwhile.
        let _cut = futures_util::SinkExt::send(&mut ws.stream, elsewhere.into()).await;
    }
    assert_eq!(ws.closed().await, Some(1008));
    assert_eq!(host.hub.socket_io().nsps().len(), 2);
    host.until_empty().await;
}

#[tokio::test]
async fn who_joins_nothing_is_closed() {
    let host = host().await;
    let mut silent = host.ws().await;
    let mut early = host.ws().await;
    early.send(r#"42/feed,1["subscribe",{}]"#).await;
    assert_eq!(early.closed().await, Some(1008));
    assert_eq!(silent.closed().await, Some(1008));
    drop((silent, early));
    host.until_empty().await;
}

#[tokio::test]
async fn with_a_list_foreign_pages_are_refused_on_both_transports() {
    let origins = Origins::allow(["https://app.example"]).unwrap();
    let hub = settings().allowed_origins(origins).build().await.unwrap();
    let host = Host::start(hub).await;
    let own = format!("http://{}", host.address);
    let polling = |origin: String| {
        host.request(Method::GET, "EIO=4&transport=polling")
            .header("origin", origin)
            .send()
    };
    let websocket = async |origin: &str| {
        let url = host.url("EIO=4&transport=websocket").replace("http", "ws");
        let mut request = url.into_client_request().unwrap();
        request
            .headers_mut()
            .insert("origin", origin.parse().unwrap());
        tokio_tungstenite::connect_async(request).await.is_ok()
    };
    for foreign in [
        "https://evil.example",
        "null",
        "https://app.example.evil",
        "http://app.example",
    ] {
        let response = polling(foreign.to_owned()).await.unwrap();
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{foreign}");
        assert!(
            response
                .headers()
                .get("access-control-allow-origin")
                .is_none()
        );
        assert_eq!(response.json::<Value>().await.unwrap()["code"], 4);
        assert!(!websocket(foreign).await, "{foreign}");
    }
    let response = polling("https://app.example".to_owned()).await.unwrap();
    assert_eq!(
        response.headers()["access-control-allow-origin"],
        "https://app.example"
    );
    assert!(
        response
            .headers()
            .get("access-control-allow-credentials")
            .is_none()
    );
    assert_eq!(polling(own.clone()).await.unwrap().status(), StatusCode::OK);
    assert!(websocket("https://app.example").await && websocket(&own).await);
    // Also without an Origin, as programs connect.
    host.ws().await;
}

/// The state of a connection must not outlive it.
#[tokio::test]
async fn half_an_upgrade_opens_nothing() {
    let host = host().await;
    for cut in [10, 60, 120] {
        let mut tcp = TcpStream::connect(host.address).await.unwrap();
        let headers = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
        let request = upgrade(&format!("{headers}{KEY}"));
        tcp.write_all(&request.as_bytes()[..cut]).await.unwrap();
        drop(tcp);
    }
    let tcp = raw(&host).await;
    host.until_sessions(1).await;
    drop(tcp);
    host.until_empty().await;
}
