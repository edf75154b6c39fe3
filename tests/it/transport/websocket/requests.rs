//! What a client of the raw WebSocket may ask, and what it gets.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    api_server::{ApiServer, answer},
    feed_hub::host,
    host::Host,
    raw_websocket::{RawWebSocket, ask, masked, request, text},
    tokens::bearer,
};

const PATH: &str = "/v1/feeds/alice/ws";

async fn with_entries(count: u64) -> (Host, RawWebSocket) {
    let host = host().await;
    host.record("alice", 1..=count).await;
    let socket = RawWebSocket::live(host.address).await;
    (host, socket)
}

#[tokio::test]
async fn what_asks_nothing_is_answered_and_the_feed_goes_on() {
    let (host, mut socket) = with_entries(1).await;
    let deep = |open: &str, close: &str, depth: usize| {
        let (open, close) = (open.repeat(depth), close.repeat(depth));
        format!(r#"{{"type":"ping","id":{open}1{close}}}"#)
    };
    let cases = [
        ("nothing", String::new(), "malformed"),
        ("no JSON", "ping".to_owned(), "malformed"),
        (
            "two objects",
            r#"{"type":"ping"}{"type":"ping"}"#.to_owned(),
            "malformed",
        ),
        (
            "half an object",
            r#"{"type":"ping""#.to_owned(),
            "malformed",
        ),
        (
            "a trailing comma",
            r#"{"type":"ping",}"#.to_owned(),
            "malformed",
        ),
        (
            "a lone surrogate",
            r#"{"type":"ping","id":"\ud800"}"#.to_owned(),
            "malformed",
        ),
        (
            "a NUL",
            "{\"type\":\"ping\",\"id\":\"\0\"}".to_owned(),
            "malformed",
        ),
        (
            "a number beyond all",
            r#"{"type":"ping","id":1e400}"#.to_owned(),
            "malformed",
        ),
        ("deep arrays", deep("[", "]", 8_000), "malformed"),
        ("deep objects", deep(r#"{"a":"#, "}", 2_500), "malformed"),
        ("only openings", "[".repeat(16 * 1024), "malformed"),
        ("an array", r#"["ping"]"#.to_owned(), "bad_request"),
        (
            "an array of an object",
            r#"[{"type":"ping"}]"#.to_owned(),
            "bad_request",
        ),
        ("a string", r#""ping""#.to_owned(), "bad_request"),
        ("a number", "7".to_owned(), "bad_request"),
        ("null", "null".to_owned(), "bad_request"),
        ("no type", "{}".to_owned(), "bad_request"),
        (
            "an unknown type",
            r#"{"type":"subscribe"}"#.to_owned(),
            "bad_request",
        ),
        (
            "__proto__",
            r#"{"type":"__proto__"}"#.to_owned(),
            "bad_request",
        ),
        (
            "a type that is none",
            r#"{"type":["ping"]}"#.to_owned(),
            "bad_request",
        ),
        (
            "an unknown field",
            r#"{"type":"ping","di":1}"#.to_owned(),
            "bad_request",
        ),
        (
            "a type twice",
            r#"{"type":"ping","type":"ping"}"#.to_owned(),
            "bad_request",
        ),
        (
            "an id twice",
            r#"{"type":"ping","id":1,"id":2}"#.to_owned(),
            "bad_request",
        ),
        (
            "a limit twice",
            r#"{"type":"history","limit":1,"limit":2}"#.to_owned(),
            "bad_request",
        ),
        (
            "no token",
            r#"{"type":"authenticate"}"#.to_owned(),
            "bad_request",
        ),
        (
            "a token that is none",
            r#"{"type":"authenticate","token":7}"#.to_owned(),
            "bad_request",
        ),
    ];
    for (name, request, code) in cases {
        assert!(request.len() <= 16 * 1024 + 100, "{name}");
        let answer = socket.ask(&request).await;
        assert_eq!(
            (&answer["ok"], &answer["code"]),
            (&json!(false), &json!(code)),
            "{name}"
        );
        assert!(!answer["message"].as_str().unwrap().is_empty());
    }
    host.record("alice", 2..=2).await;
    assert_eq!(socket.until("update").await["to"], 2);
}

/// Deeper than the stack allows, and longer than a request may be.
#[tokio::test]
async fn a_hundred_thousand_levels_close() {
    let (host, mut socket) = with_entries(1).await;
    socket.send(text(&"[".repeat(100_000))).await;
    assert_eq!(socket.closed().await.unwrap().close_code(), Some(1009));
    let mut socket = RawWebSocket::live(host.address).await;
    let part = vec![b'['; 800];
    socket.send(masked(1, &part)).await;
    for _ in 0..124 {
        socket.send(masked(0, &part)).await;
    }
    assert_eq!(socket.closed().await.unwrap().close_code(), Some(1009));
}

#[tokio::test]
async fn a_pings_id_comes_back_as_it_was() {
    let (_host, mut socket) = with_entries(1).await;
    for id in [
        json!(1),
        json!(-0.5),
        json!("é\u{2028}</script>"),
        json!([1, {"a": null}]),
        json!({"b": [true]}),
        json!(u64::MAX),
    ] {
        let answer = socket
            .ask(&json!({ "type": "ping", "id": id }).to_string())
            .await;
        assert_eq!(answer, json!({ "type": "pong", "id": id, "ok": true }));
    }
    for none in [
        r#"{"type":"ping"}"#,
        "\n\t {\"id\":null,\"type\":\"ping\"} \r\n",
    ] {
        assert_eq!(
            socket.ask(none).await,
            json!({ "type": "pong", "ok": true })
        );
    }
}

#[tokio::test]
async fn history_goes_back_as_far_as_asked() {
    let (_host, mut socket) = with_entries(60).await;
    let mut history = async |more: &str| {
        let answer = socket
            .ask(&format!(r#"{{"type":"history","id":9{more}}}"#))
            .await;
        assert_eq!(answer["id"].as_u64().unwrap_or(9), 9);
        answer
    };
    for (more, first, last, next) in [
        ("", 60, 11, json!(11)),
        (r#","limit":1"#, 60, 60, json!(60)),
        (r#","limit":200"#, 60, 1, Value::Null),
        (r#","before":60,"limit":2"#, 59, 58, json!(58)),
        (r#","before":2"#, 1, 1, Value::Null),
        (r#","before":null,"limit":null"#, 60, 11, json!(11)),
        (
            r#","before":18446744073709551615,"limit":1"#,
            60,
            60,
            json!(60),
        ),
    ] {
        let answer = history(more).await;
        assert_eq!(answer["type"], "history", "{answer}");
        let entries = answer["entries"].as_array().unwrap();
        assert_eq!(entries[0]["offset"], first, "{more}");
        assert_eq!(entries.last().unwrap()["offset"], last, "{more}");
        assert_eq!(answer["next"], next, "{more}");
    }
    for more in [r#","before":0"#, r#","before":1"#] {
        assert_eq!(history(more).await["entries"], json!([]), "{more}");
    }
    for wrong in [
        r#","limit":0"#,
        r#","limit":201"#,
        r#","limit":-1"#,
        r#","limit":1.5"#,
        r#","limit":"1""#,
        r#","before":-1"#,
        r#","before":1e3"#,
        r#","before":18446744073709551616"#,
        r#","befor":1"#,
        r#","account":"bob""#,
    ] {
        assert_eq!(history(wrong).await["code"], "bad_request", "{wrong}");
    }
}

#[tokio::test]
async fn a_new_token_of_the_same_subject_prolongs() {
    let host = host().await;
    let opened = Instant::now();
    let mut socket = RawWebSocket::open(host.address, PATH, "alice/alice/2000").await;
    let first = socket.until("auth_expiring").await;
    assert!(
        opened.elapsed() < Duration::from_secs(2),
        "announced before it expires"
    );
    assert!(first["expires_at"].is_string());
    let longer = r#"{"type":"authenticate","id":"a","token":"alice/alice,bob/3000"}"#;
    let answer = socket.ask(longer).await;
    assert_eq!((&answer["ok"], &answer["id"]), (&json!(true), &json!("a")));
    assert_ne!(answer["expires_at"], first["expires_at"]);
    let renewed = Instant::now();
    // Announced again for the new expiry; nothing closes at the old one.
    assert_eq!(socket.message().await["expires_at"], answer["expires_at"]);
    assert_eq!(socket.message().await["code"], "expired");
    assert!(
        renewed.elapsed() > Duration::from_millis(2_800),
        "{:?}",
        renewed.elapsed()
    );
    assert!(
        renewed.elapsed() < Duration::from_secs(8),
        "closed ≤ 5 s after"
    );
    assert_eq!(socket.closed().await.unwrap().close_code(), Some(1008));
    assert!(socket.end().await.is_ok());
}

#[tokio::test]
async fn a_token_that_is_refused_changes_nothing() {
    let host = host().await;
    let mut socket = RawWebSocket::open(host.address, PATH, "alice/alice/3000").await;
    socket.until("live").await;
    let long = "x".repeat(9_000);
    for (name, token, code) in [
        ("somebody else's", "bob/alice/3600000", "wrong_subject"),
        ("nobody's", "/alice/3600000", "wrong_subject"),
        ("for another account", "alice/bob/3600000", "not_found"),
        ("garbage", "garbage", "unauthorized"),
        ("empty", "", "unauthorized"),
        (
            "a ticket",
            "ticket.eyJhbGciOiJIUzI1NiJ9.e30.x",
            "unauthorized",
        ),
        ("a long one", &long, "unauthorized"),
    ] {
        let request = json!({ "type": "authenticate", "id": name, "token": token });
        let answer = socket.ask(&request.to_string()).await;
        assert_eq!(
            (&answer["id"], &answer["code"]),
            (&json!(name), &json!(code)),
            "{name}"
        );
        assert_eq!(answer["type"], "authenticate");
    }
    host.record("alice", 1..=1).await;
    assert_eq!(socket.until("update").await["to"], 1, "it goes on");
    assert_eq!(
        socket.until("closing").await["code"],
        "expired",
        "until its end"
    );
}

/// A connection by ticket lasts as long as the ticket's token, and a token can prolong it.
#[tokio::test]
async fn a_tickets_connection_is_prolonged_by_a_token_alone() {
    let server = ApiServer::start().await;
    let minted = server
        .request(reqwest::Method::POST, "/v1/tickets")
        .bearer_auth(bearer(json!({})));
    let minted = answer(minted).await;
    let ticket = minted.body["ticket"].as_str().unwrap();
    let host = Host::start(server.hub.clone()).await;
    let path = format!("{PATH}?ticket={ticket}");
    let mut tcp = tokio::net::TcpStream::connect(host.address).await.unwrap();
    let request = request(&path, "x");
    let request = request.replace("Authorization: Bearer x\r\n", "");
    let head = ask(&mut tcp, &request).await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    let mut socket = RawWebSocket { tcp };
    for (token, ok) in [(ticket, false), (&bearer(json!({})), true)] {
        let request = json!({ "type": "authenticate", "token": token });
        assert_eq!(socket.ask(&request.to_string()).await["ok"], ok);
    }
}
