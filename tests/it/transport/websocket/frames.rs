//! The raw WebSocket after its handshake, by RFC 6455 sections 5 to 7.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::support::{
    SOON,
    feed_hub::{ALICE, account, host},
    host::Host,
    raw_websocket::{
        BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, RawWebSocket, TEXT, close, masked, text,
    },
};

/// The most bytes of a request.
const REQUEST_BYTES_MAX: usize = 16 * 1024;

const ASK: &str = r#"{"type":"ping","id":"é电🍜"}"#;

/// Asserts that each case gets its close code, and then an end without a reset.
async fn close_with(host: &Host, cases: impl IntoIterator<Item = (String, Vec<u8>, u16)>) {
    for (name, bytes, code) in cases {
        let mut socket = RawWebSocket::live(host.address).await;
        socket.send(&bytes).await;
        let closed = socket.closed().await.unwrap_or_else(|| panic!("{name}"));
        assert_eq!(closed.close_code(), Some(code), "{name}");
        assert!(
            socket.end().await.is_ok(),
            "{name}: a reset may overtake it"
        );
    }
    // Other sockets are not affected.
    assert!(RawWebSocket::live(host.address).await.ask(ASK).await["ok"].is_boolean());
}

fn named<const N: usize>(cases: [(&str, Vec<u8>, u16); N]) -> [(String, Vec<u8>, u16); N] {
    cases.map(|(name, bytes, code)| (name.to_owned(), bytes, code))
}

#[tokio::test]
async fn what_breaks_the_framing_closes_with_1002() {
    let reserved = [0x40, 0x20, 0x10, 0x70];
    let bits = reserved.map(|bits| (format!("reserved bits {bits:x}"), FIN | bits | TEXT));
    let codes = (3..=7).chain(0xb..=0xf);
    let opcodes = codes.map(|code| (format!("opcode {code:x}"), FIN | code));
    let firsts = bits.into_iter().chain(opcodes);
    let firsts = firsts.map(|(name, first)| (name, masked(first, b"{}"), 1002));
    let begun = masked(TEXT, b"{");
    let cases = named([
        ("unmasked", vec![FIN | TEXT, 2, b'{', b'}'], 1002),
        ("unmasked and empty", vec![FIN | TEXT, 0], 1002),
        ("an end of nothing", masked(FIN | CONTINUATION, b"}"), 1002),
        ("a middle of nothing", masked(CONTINUATION, b"}"), 1002),
        (
            "text inside text",
            [begun.clone(), text("{}")].concat(),
            1002,
        ),
        (
            "binary inside text",
            [begun.clone(), masked(FIN | BINARY, b"")].concat(),
            1002,
        ),
        ("half a ping", masked(PING, b""), 1002),
        ("half a pong", masked(PONG, b""), 1002),
        ("half a close", masked(CLOSE, b""), 1002),
        ("a long ping", masked(FIN | PING, &[b'x'; 126]), 1002),
        ("a long pong", masked(FIN | PONG, &[b'x'; 126]), 1002),
        ("a long close", close(1000, &[b'x'; 124]), 1002),
        ("binary", masked(FIN | BINARY, b"{}"), 1003),
        (
            "binary in parts",
            [masked(BINARY, b"{"), masked(FIN, b"}")].concat(),
            1003,
        ),
    ]);
    close_with(&host().await, firsts.chain(cases)).await;
}

#[tokio::test]
async fn text_that_is_not_utf8_closes_with_1007() {
    let whole = |bytes: &[u8]| masked(FIN | TEXT, bytes);
    let split = |begin: &[u8], end: &[u8]| [masked(TEXT, begin), masked(FIN, end)].concat();
    let cases = named([
        ("no character at all", whole(b"{\"type\":\"\xff\"}"), 1007),
        ("a lone continuation", whole(b"\x80"), 1007),
        ("an overlong slash", whole(b"\xc0\xaf"), 1007),
        ("an overlong nought", whole(b"\xe0\x80\x80"), 1007),
        ("a high surrogate", whole(b"\xed\xa0\x80"), 1007),
        ("a low surrogate", whole(b"\xed\xbf\xbf"), 1007),
        ("beyond U+10FFFF", whole(b"\xf4\x90\x80\x80"), 1007),
        ("cut at the end", whole(b"{}\xe7\x94"), 1007),
        ("cut at the end of parts", split(b"{}", b"\xe7\x94"), 1007),
        (
            "a character that does not go on",
            split(b"\xe7", b"{}"),
            1007,
        ),
        ("bad in the second part", split(b"{", b"\xff"), 1007),
    ]);
    close_with(&host().await, cases).await;
}

#[tokio::test]
async fn what_is_too_much_closes_with_its_code() {
    let declared = |length: u64| {
        let header = [FIN | TEXT, 0xff];
        [&header[..], &length.to_be_bytes(), &[0; 4]].concat()
    };
    let over = vec![b' '; REQUEST_BYTES_MAX + 1];
    let half = vec![b' '; REQUEST_BYTES_MAX / 2 + 1];
    let halves = [masked(TEXT, &half), masked(FIN, &half)].concat();
    let empty_ones = [masked(TEXT, b""), masked(CONTINUATION, b"").repeat(10_000)].concat();
    let cases = named([
        ("declared", declared(100_001), 1009),
        ("declared to be 2^63 - 1", declared((1 << 63) - 1), 1009),
        ("declared to be 2^63", declared(1 << 63), 1009),
        ("declared to be 2^64 - 1", declared(u64::MAX), 1009),
        ("one byte too long", masked(FIN | TEXT, &over), 1009),
        ("in parts", halves, 1009),
        (
            "a hundred kilobytes",
            masked(FIN | TEXT, &[b' '; 100_000]),
            1009,
        ),
        ("empty parts", empty_ones, 1008),
    ]);
    let host = host().await;
    close_with(&host, cases).await;

    let mut socket = RawWebSocket::live(host.address).await;
    socket.send(masked(TEXT, b"")).await;
    for _ in 0..REQUEST_BYTES_MAX {
        socket.send(masked(CONTINUATION, b" ")).await;
    }
    let code = socket.closed().await.unwrap().close_code();
    assert_eq!(code, Some(1008), "byte by byte: too many parts");

    // The largest allowed message is accepted.
    let mut most = ASK.to_owned();
    most.push_str(&" ".repeat(REQUEST_BYTES_MAX - most.len()));
    let mut socket = RawWebSocket::live(host.address).await;
    assert_eq!(socket.ask(&most).await["type"], "pong");
}

/// The server reads no more than it needs to notice.
#[tokio::test]
async fn a_million_empty_fragments_cost_next_to_nothing() {
    let host = host().await;
    let mut socket = RawWebSocket::live(host.address).await;
    let start = Instant::now();
    let thousand = masked(CONTINUATION, b"").repeat(1_000);
    socket.send(masked(TEXT, b"")).await;
    for _ in 0..1_000 {
        socket.send(&thousand).await;
    }
    assert!(start.elapsed() < SOON);
    assert!(RawWebSocket::live(host.address).await.ask(ASK).await["ok"].is_boolean());
}

/// What costs a client nothing is bounded by number; what it may send at once is far more than it needs.
#[tokio::test]
async fn a_hundred_small_frames_at_once_are_taken_and_a_flood_closes() {
    const SMALL_FRAMES_MAX: usize = 100;
    let host = host().await;
    let empty_parts = [masked(TEXT, b"{"), masked(CONTINUATION, b"")].concat();
    let cases = [
        ("pings", masked(FIN | PING, &[b'x'; 125])),
        ("empty pings", masked(FIN | PING, b"")),
        ("pongs that nobody asked for", masked(FIN | PONG, b"x")),
        ("empty messages", text("")),
        ("empty parts", [empty_parts, masked(FIN, b"}")].concat()),
    ];
    for (name, frame) in cases {
        let mut honest = RawWebSocket::live(host.address).await;
        honest.send(frame.repeat(SMALL_FRAMES_MAX)).await;
        honest.send(text(ASK)).await;
        loop {
            let frame = honest.frame().await.expect(name);
            assert_ne!(frame.opcode, CLOSE, "{name}");
            if frame.payload.starts_with(br#"{"type":"pong""#) {
                break;
            }
        }
        let mut flooding = RawWebSocket::live(host.address).await;
        flooding.send(frame.repeat(20 * SMALL_FRAMES_MAX)).await;
        let closed = flooding.closed().await.expect(name);
        assert_eq!(closed.close_code(), Some(1008), "{name}");
    }
}

#[tokio::test]
async fn a_ping_is_answered_with_its_payload() {
    let host = host().await;
    let mut socket = RawWebSocket::live(host.address).await;
    for length in [0, 1, 125] {
        let payload = vec![0xfe; length];
        socket.send(masked(FIN | PING, &payload)).await;
        let pong = socket.frame().await.unwrap();
        assert_eq!((pong.opcode, pong.payload), (PONG, payload));
    }
    // Between the fragments of a message, which continues afterwards; several at once, in order.
    let (begin, end) = ASK.as_bytes().split_at(17);
    let parts = [
        masked(TEXT, begin),
        masked(FIN | PING, b"1"),
        masked(FIN | PING, b"2"),
        masked(FIN | PONG, b"nobody asked"),
        masked(FIN, end),
    ];
    socket.send(parts.concat()).await;
    for payload in [b"1", b"2"] {
        let pong = socket.frame().await.unwrap();
        assert_eq!((pong.opcode, &pong.payload[..]), (PONG, &payload[..]));
    }
    assert_eq!(socket.message().await["id"], "é电🍜");
}

#[tokio::test]
async fn messages_are_read_in_any_split() {
    let host = host().await;
    let mut socket = RawWebSocket::live(host.address).await;
    let pong = json!({ "type": "pong", "id": "é电🍜", "ok": true });
    let bytes = ASK.as_bytes();
    // Also inside a character, as fragments and as TCP segments.
    for at in 0..=bytes.len() {
        let (begin, end) = bytes.split_at(at);
        socket.send(masked(TEXT, begin)).await;
        socket.send(masked(FIN, end)).await;
        assert_eq!(socket.message().await, pong, "parts at {at}");
    }
    let frame = text(ASK);
    for at in 1..frame.len() {
        socket.send(&frame[..at]).await;
        tokio::task::yield_now().await;
        socket.send(&frame[at..]).await;
        assert_eq!(socket.message().await, pong, "segments at {at}");
    }
    for byte in &frame {
        socket.send([*byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(socket.message().await, pong, "byte by byte");
    socket.send(frame.repeat(100)).await;
    for _ in 0..100 {
        assert_eq!(socket.message().await, pong, "all at once");
    }
    let longer = [
        vec![FIN | TEXT, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0],
        b"{}".to_vec(),
    ];
    socket.send(longer.concat()).await;
    let answer = socket.message().await;
    assert_eq!(
        answer["code"], "bad_request",
        "a length longer than need be"
    );
}

/// The helper checks for the shortest encoding of each length.
#[tokio::test]
async fn messages_of_every_length_are_framed() {
    let host = host().await;
    let mut socket = RawWebSocket::live(host.address).await;
    let bare = json!({ "type": "pong", "id": "", "ok": true })
        .to_string()
        .len();
    for length in [bare, 124, 125, 126, 127, 128, 1_000, 16_000] {
        let id = "x".repeat(length - bare);
        let ask = json!({ "type": "ping", "id": id }).to_string();
        socket.send(text(&ask)).await;
        assert_eq!(socket.frame().await.unwrap().payload.len(), length);
    }
    for id in 1..=60 {
        host.record_described("alice", id, &"电".repeat(500)).await;
    }
    let path = "/v1/feeds/alice/ws?recent=60";
    let mut socket = RawWebSocket::open(host.address, path, ALICE).await;
    assert!(socket.frame().await.unwrap().payload.len() > 0xffff);
    socket.until("live").await;
}

#[tokio::test]
async fn a_close_is_answered_with_its_code() {
    let host = host().await;
    for code in [1000, 1001, 1003, 1011, 3000, 4999] {
        for reason in [&b""[..], "vorbei é".as_bytes(), &[b'x'; 123]] {
            let mut socket = RawWebSocket::live(host.address).await;
            // Bytes after it are not read as frames.
            let garbage = [0xff; 64].as_slice();
            for after in [&b""[..], garbage] {
                socket.send([&close(code, reason), after].concat()).await;
            }
            let closed = socket.closed().await.expect("an answer");
            assert_eq!(closed.close_code(), Some(code));
            assert!(
                socket.end().await.is_ok(),
                "{code}: a reset may overtake it"
            );
        }
    }
    let mut socket = RawWebSocket::live(host.address).await;
    socket.send(masked(FIN | CLOSE, b"")).await;
    assert_eq!(socket.closed().await.unwrap().payload, b"", "no code");
    assert!(socket.end().await.is_ok());
}

#[tokio::test]
async fn a_close_that_is_none_is_a_breach() {
    let codes = [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535];
    let codes = codes.map(|code| (format!("code {code}"), close(code, b"why"), 1002));
    let others = named([
        ("half a code", masked(FIN | CLOSE, &[3]), 1002),
        ("a reason that is not UTF-8", close(1000, b"\xff"), 1007),
        ("a reason cut short", close(1000, b"\xe7\x94"), 1007),
    ]);
    close_with(&host().await, codes.into_iter().chain(others)).await;
}

/// Some clients treat 1000 as final and do not reconnect.
#[tokio::test]
async fn the_server_says_why_it_closes_and_never_1000() {
    let host = host().await;
    host.record("alice", 1..=1).await;
    let path = "/v1/feeds/alice/ws";
    let mut expiring = RawWebSocket::open(host.address, path, "alice/alice/300").await;
    let closing = expiring.until("closing").await;
    assert_eq!(closing["code"], "expired");
    let closed = expiring.closed().await.unwrap();
    assert_eq!(closed.close_code(), Some(1008));
    assert_eq!(closed.payload[2..], *b"expired");

    let mut erased = RawWebSocket::live(host.address).await;
    host.hub.feed().erase(&account("alice")).await.unwrap();
    assert_eq!(erased.until("closing").await["code"], "revoked");
    assert_eq!(erased.closed().await.unwrap().close_code(), Some(1008));

    let mut drained = RawWebSocket::live(host.address).await;
    let draining = host.hub.drain(Duration::from_secs(1));
    let (closed, ()) = tokio::join!(drained.closed(), draining);
    assert_eq!(closed.unwrap().close_code(), Some(1012));
}

#[tokio::test]
async fn who_does_not_answer_a_close_is_cut() {
    let host = host().await;
    let mut silent = RawWebSocket::live(host.address).await;
    silent.send(masked(FIN | BINARY, b"x")).await;
    let start = Instant::now();
    // It keeps sending; a write fails once the server has closed the connection.
    let talks = async {
        while silent.tcp.write_all(&text("{}")).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, talks).await.expect("cut");
    assert!(
        start.elapsed() < Duration::from_secs(6),
        "{:?}",
        start.elapsed()
    );
}
