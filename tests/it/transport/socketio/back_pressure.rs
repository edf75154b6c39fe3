//! What a client provokes is bounded: small packets by number, everything else by reading no more than is answered.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tallycast::{Push, PushTo};
use tokio::{
    io::AsyncWriteExt,
    time::{Instant, timeout},
};

use crate::support::{
    SOON,
    engineio_client::SEPARATOR,
    feed_hub::{ALICE, host},
    host::Host,
    raw_websocket::{CONTINUATION, FIN, PING, PONG, RawWebSocket, TEXT, masked, text},
};

const PATH: &str = "/socket.io/?EIO=4&transport=websocket";

/// The small frames and packets that a client may send in a second.
const SMALL_FRAMES_MAX: usize = 100;

/// The packets that nobody answers which the server reads in a second.
const UNANSWERED_MAX: usize = 1_000;

/// A client of the feed on a raw WebSocket that follows nothing.
async fn joined(host: &Host) -> RawWebSocket {
    let mut socket = RawWebSocket::open_narrow(host.address, PATH, ALICE).await;
    let auth = json!({ "token": ALICE, "subscribe": false });
    socket.send(text(&format!("40/feed,{auth}"))).await;
    until(&mut socket, "40/feed,").await;
    socket
}

/// Reads until a text begins like this.
async fn until(socket: &mut RawWebSocket, start: &str) -> String {
    loop {
        let frame = socket.frame().await.expect("a packet, not the end");
        let packet = String::from_utf8_lossy(&frame.payload);
        if frame.opcode == TEXT && packet.starts_with(start) {
            return packet.into_owned();
        }
    }
}

async fn assert_answers(socket: &mut RawWebSocket) {
    socket.send(text(r#"42/feed,7["history",{}]"#)).await;
    let answer = until(socket, "43/feed,7").await;
    assert!(answer.contains(r#""ok":true"#), "{answer}");
}

#[tokio::test]
async fn a_hundred_small_frames_at_once_are_taken_and_a_flood_closes() {
    let host = host().await;
    let empty_parts = [masked(TEXT, b"4"), masked(CONTINUATION, b"")].concat();
    let cases = [
        ("pings", masked(FIN | PING, &[b'x'; 125])),
        ("empty pings", masked(FIN | PING, b"")),
        ("pongs that nobody asked for", masked(FIN | PONG, b"x")),
        ("heartbeats", text("3")),
        ("heartbeats of a server", text("2 and more")),
        ("CONNECT", text("40/feed,{}")),
        ("CONNECT elsewhere", text("40/nowhere,")),
        (
            "empty parts",
            [empty_parts, masked(FIN | CONTINUATION, b"2/nowhere,[]")].concat(),
        ),
    ];
    for (name, frame) in cases {
        // Joining has used up one.
        let mut honest = joined(&host).await;
        honest.send(frame.repeat(SMALL_FRAMES_MAX - 1)).await;
        assert_answers(&mut honest).await;

        let mut flooding = joined(&host).await;
        flooding.send(frame.repeat(20 * SMALL_FRAMES_MAX)).await;
        let closed = flooding.closed().await.expect(name);
        assert_eq!(closed.close_code(), Some(1008), "{name}");
    }
    host.until_sessions(0).await;
}

/// A client that takes nothing does not get the close frame either.
#[tokio::test]
async fn whoever_floods_and_does_not_read_is_cut_soon() {
    let host = host().await;
    let mut flooding = joined(&host).await;
    fill(&host).await;
    let start = Instant::now();
    flooding
        .send(masked(FIN | PONG, b"").repeat(20 * SMALL_FRAMES_MAX))
        .await;
    host.until_sessions(0).await;
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

/// Pushes more than the buffers of a connection with a small receive buffer hold.
async fn fill(host: &Host) {
    for _ in 0..8 {
        let push = Push::new(
            PushTo::Subject("alice".to_owned()),
            "fill",
            &"x".repeat(60_000),
        );
        host.hub.push(push.unwrap()).await.unwrap();
    }
}

/// Requests without an ack, which the server executes as fast as it reads them.
fn requests() -> Vec<u8> {
    text(r#"42/feed,["nothing"]"#).repeat(1_000)
}

#[tokio::test]
async fn nothing_is_read_while_a_pong_cannot_be_written() {
    const BYTES_MAX: usize = 6 << 20;
    let host = host().await;
    let mut socket = joined(&host).await;
    // What the kernel holds for the server is little.
    let narrow = socket2::SockRef::from(&socket.tcp).set_send_buffer_size(16 * 1024);
    narrow.unwrap();
    fill(&host).await;
    socket.send(masked(FIN | PING, b"are you there")).await;
    let (requests, mut taken) = (requests(), 0);
    let rest = |taken: usize| &requests[taken % requests.len()..];
    while let Ok(written) = timeout(SOON / 10, socket.tcp.write(rest(taken))).await {
        taken += written.unwrap();
        assert!(taken < BYTES_MAX, "the server takes whatever comes");
    }
    let rest = rest(taken).to_vec();
    let (mut reader, mut writer) = socket.tcp.into_split();
    let writing = tokio::spawn(async move {
        writer.write_all(&rest).await.unwrap();
        writer
    });
    let pong = timeout(SOON, async {
        let mut seen = Vec::new();
        while !contains(&seen, b"are you there") {
            tokio::io::AsyncReadExt::read_buf(&mut reader, &mut seen)
                .await
                .unwrap();
        }
    });
    pong.await.expect("a pong");
    let writer = timeout(SOON, writing).await.expect("taken").unwrap();
    let tcp = reader.reunite(writer).unwrap();
    assert_answers(&mut RawWebSocket { tcp }).await;
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Nobody answers events to `/`, to namespaces that do not exist, and acks: the server reads them at its own pace.
#[tokio::test]
async fn what_nobody_answers_is_read_at_a_bounded_rate() {
    let host = host().await;
    for packet in [r#"42["a"]"#, r#"42/nowhere,["a"]"#, "43/feed,1[]"] {
        let mut socket = joined(&host).await;
        socket.send(text("40")).await;
        until(&mut socket, "40{").await;
        let start = Instant::now();
        let flood = text(packet).repeat(2 * UNANSWERED_MAX + 1);
        timeout(SOON, socket.tcp.write_all(&flood))
            .await
            .unwrap()
            .unwrap();
        assert_answers(&mut socket).await;
        assert!(start.elapsed() >= Duration::from_secs(1), "{packet}");
    }
}

#[tokio::test]
async fn small_packets_of_polling_are_bounded_too() {
    let host = host().await;
    for packet in ["3", "2", "40/nowhere,", r#"40/feed,{"token":"x"}"#] {
        let honest = host.poll().await;
        honest.send(&[packet; 10].join(SEPARATOR)).await;

        let flooding = host.poll().await;
        let refused = flooding
            .post(vec![packet; 20 * SMALL_FRAMES_MAX].join(SEPARATOR))
            .await;
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS, "{packet}");
        assert!(refused.headers().contains_key("retry-after"));
        let refused: Value = refused.json().await.unwrap();
        assert_eq!(refused["message"], "Bad request");
        // Its session has ended.
        assert_eq!(flooding.get().await.status(), StatusCode::BAD_REQUEST);
    }
    // What one request may not do, several may not either.
    let flooding = host.poll().await;
    let body = vec!["3"; SMALL_FRAMES_MAX / 2].join(SEPARATOR);
    let mut last = StatusCode::OK;
    for _ in 0..40 {
        last = flooding.post(body.clone()).await.status();
        if last != StatusCode::OK {
            break;
        }
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn a_polling_body_that_nobody_answers_waits_and_is_taken() {
    let host = host().await;
    let session = host.poll().await;
    let auth = json!({ "token": ALICE, "subscribe": false });
    session.send(&format!("40{SEPARATOR}40/feed,{auth}")).await;
    let start = Instant::now();
    let body = vec![r#"42["a"]"#; 2 * UNANSWERED_MAX + 1].join(SEPARATOR);
    session.send(&body).await;
    assert!(start.elapsed() >= Duration::from_secs(1));
    // Far too many for one request.
    let refused = session
        .post(vec![r#"42["a"]"#; 11_000].join(SEPARATOR))
        .await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
}

/// Leaving and joining again costs a check of the token each time.
#[tokio::test]
async fn joining_and_leaving_without_end_closes() {
    let host = host().await;
    let mut ws = host.ws().await;
    let mut joined = 0;
    let code = loop {
        let auth = json!({ "token": ALICE, "subscribe": false });
        ws.send(format!("40/feed,{auth}")).await;
        match ws.frame().await {
            Some(Ok(message)) if message.is_text() => joined += 1,
            Some(Ok(tokio_tungstenite::tungstenite::Message::Close(frame))) => {
                break frame.map(|frame| frame.code.into());
            }
            other => panic!("{other:?}"),
        }
        if futures_util::SinkExt::send(&mut ws.stream, "41/feed,".into())
            .await
            .is_err()
        {
            break ws.closed().await;
        }
        assert!(joined < 20 * SMALL_FRAMES_MAX, "joined without end");
    };
    assert_eq!(code, Some(1008), "after {joined}");
}
