//! What `POST /v1/events` takes, and what it refuses.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{
    SOON,
    api_server::{Answer, ApiServer, answer, event},
    tokens::{bearer, producer},
};

fn gzip(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes.as_ref()).unwrap();
    encoder.finish().unwrap()
}

async fn send_gzip(server: &ApiServer, bytes: Vec<u8>) -> Answer {
    let request = server.post().header("content-encoding", "gzip");
    let request = request.header("content-type", "application/json");
    answer(request.body(bytes)).await
}

#[tokio::test]
async fn one_event_is_recorded_once() {
    let server = ApiServer::start().await;
    let first = server.record(&event("1", "alice")).await;
    assert_eq!(first.status, 201);
    assert_eq!(first.body["status"], "recorded");
    assert_eq!(first.body["offset"], 1);
    assert!(first.body["position"].is_string());

    let again = server.record(&event("1", "alice")).await;
    assert_eq!(again.status, 200);
    assert_eq!(again.body["status"], "duplicate");
    assert_eq!(again.body["offset"], 1);
    assert_eq!(again.body["position"], first.body["position"]);
    assert_eq!(server.offset("alice").await, 1);
}

#[tokio::test]
async fn the_same_id_with_other_content_is_a_conflict() {
    let server = ApiServer::start().await;
    server.record(&event("1", "alice")).await;
    let mut altered = event("1", "alice");
    altered["amount"] = json!("2");

    let refused = server.record(&altered).await;
    assert_eq!(refused.refusal(), (409, "conflict"));
    assert_eq!(
        server.record(&json!([altered])).await.results(),
        ["conflict conflict"]
    );
    assert_eq!(server.offset("alice").await, 1);
}

#[tokio::test]
async fn a_number_means_its_digits() {
    let server = ApiServer::start().await;
    let text = r#"{"id":"1","account":"alice","amount":0.123456789,"unit":"CNY"}"#;
    assert_eq!(server.record_text(text).await.status, 201);
    let same = r#"{"id":"1","account":"alice","amount":"0.123456789","unit":"CNY"}"#;
    assert_eq!(server.record_text(same).await.status, 200);
}

#[tokio::test]
async fn bad_items_of_an_array_do_not_keep_the_good_ones() {
    let server = ApiServer::start().await;
    let text = json!([
        event("1", "alice"),
        7,
        event("2", "a/b"),
        { "id": "3" },
        event("1", "alice"),
        event("4", "bob"),
        null,
        ["9", "", "bob", "consumption", "1", "CNY"],
        { "id": "5", "account": "bob", "amount": "x", "unit": "CNY" },
        { "id": "6", "account": "bob", "amount": "1", "unit": "CNY", "extra": 1 },
        { "id": "7", "account": "bob", "kind": "reversal", "reverses": "gone" },
        event("8", "alice"),
    ]);
    let answer = server.record(&text).await;
    assert_eq!(
        answer.results(),
        [
            "recorded",
            "rejected invalid_event",
            "rejected invalid_account",
            "rejected invalid_event",
            "duplicate",
            "recorded",
            "rejected invalid_event",
            "rejected invalid_event",
            "rejected invalid_amount",
            "rejected invalid_event",
            "rejected unknown_original",
            "recorded",
        ]
    );
    assert_eq!(answer.body["results"][11]["offset"], 2);
    assert_eq!(server.offset("bob").await, 1);
}

#[tokio::test]
async fn bad_single_events_say_why() {
    let server = ApiServer::start().await;
    let deep = "[".repeat(100_000);
    let deep_value = format!(r#"{{"id":"1","account":"a","unit":{}"#, "[".repeat(10_000));
    let long = event(&"x".repeat(17_000), "alice").to_string();
    for (text, status, code) in [
        ("", 400, "empty_body"),
        (" \n ", 400, "empty_body"),
        ("{", 400, "malformed_json"),
        ("nonsense", 400, "malformed_json"),
        ("[", 400, "malformed_json"),
        ("[1,]", 400, "malformed_json"),
        ("[1] [2]", 400, "malformed_json"),
        (&deep, 400, "malformed_json"),
        (&deep_value, 422, "invalid_event"),
        ("7", 422, "invalid_event"),
        ("null", 422, "invalid_event"),
        ("{}", 422, "invalid_event"),
        (r#"{"id":1}"#, 422, "invalid_event"),
        (
            r#"{"id":"1","id":"1","account":"a","amount":"1","unit":"CNY"}"#,
            422,
            "invalid_event",
        ),
        (
            r#"{"id":"1","account":"a","amount":1e400,"unit":"CNY"}"#,
            422,
            "invalid_amount",
        ),
        (
            r#"{"id":"1","account":"a","amount":[1],"unit":"CNY"}"#,
            422,
            "invalid_amount",
        ),
        (
            r#"{"id":"\ud800","account":"a","amount":"1","unit":"CNY"}"#,
            400,
            "malformed_json",
        ),
        (
            r#"{"id":"1","account":"a/b","amount":"1","unit":"CNY"}"#,
            422,
            "invalid_account",
        ),
        (
            r#"{"id":"1","account":"a","unit":"CNY"}"#,
            422,
            "missing_amount",
        ),
        (
            r#"{"id":"1","account":"a","amount":"-1","unit":"CNY"}"#,
            422,
            "negative_amount",
        ),
        (&long, 413, "event_too_large"),
    ] {
        let answer = server.record_text(text).await;
        let shown = &text[..text.len().min(60)];
        assert_eq!(answer.refusal(), (status, code), "{shown}");
    }
    assert_eq!(server.offset("a").await, 0);
}

#[tokio::test]
async fn impossible_times_are_refused() {
    let server = ApiServer::start().await;
    for time in [
        "9999-12-31T23:59:59Z",
        "2026-11-22T09:30:60+08:00",
        "2026-02-30T00:00:00Z",
        "yesterday",
        "",
        "2026-11-22",
        "99999999999999999999-01-01T00:00:00Z",
    ] {
        let mut odd = event("1", "alice");
        odd["time"] = json!(time);
        let answer = server.record(&odd).await;
        assert_eq!(answer.status, 422, "{time:?}: {}", answer.text);
        assert!(!answer.refusal().1.is_empty());
    }
}

#[tokio::test]
async fn ndjson_is_read_line_by_line() {
    let server = ApiServer::start().await;
    for (count, media_type) in [
        (1, "application/x-ndjson"),
        (2, "application/ndjson; charset=utf-8"),
        (3, "Application/JSONL"),
    ] {
        let lines = format!(
            "{}\r\n\n  \n{{\"id\":\n{}\n\u{1}\n",
            event(&format!("a{count}"), "alice"),
            event(&format!("b{count}"), "alice"),
        );
        let answer = server.record_as(media_type, lines).await;
        assert_eq!(
            answer.results(),
            [
                "recorded",
                "rejected malformed_json",
                "recorded",
                "rejected malformed_json"
            ]
        );
        assert_eq!(answer.body["results"][2]["offset"], count * 2);
    }
    let empty = server.record_as("application/x-ndjson", "").await;
    assert!(empty.results().is_empty());
    let unreadable = server
        .post()
        .header("content-type", "application/x-ndjson")
        .body(b"\xff\xfe".to_vec());
    assert_eq!(
        answer(unreadable).await.results(),
        ["rejected malformed_json"]
    );
}

#[tokio::test]
async fn an_empty_array_reports_nothing() {
    let server = ApiServer::start().await;
    assert!(server.record(&json!([])).await.results().is_empty());
}

#[tokio::test]
async fn a_thousand_events_are_taken_and_one_more_is_not() {
    let server = ApiServer::start().await;
    let mut events: Vec<Value> = (1..=1_000)
        .map(|id| event(&id.to_string(), "alice"))
        .collect();
    let answer = server.record(&json!(events)).await;
    assert_eq!(answer.results().len(), 1_000);
    assert_eq!(answer.body["results"][999]["offset"], 1_000);

    events.push(event("1001", "alice"));
    let refused = server.record(&json!(events)).await;
    assert_eq!(refused.refusal(), (413, "too_many_events"));
    let lines: Vec<String> = events.iter().map(Value::to_string).collect();
    let refused = server
        .record_as("application/x-ndjson", lines.join("\n"))
        .await;
    assert_eq!(refused.refusal(), (413, "too_many_events"));
    let zeros = format!("[{}0]", "0,".repeat(1_000_000));
    let refused = server.record_text(zeros).await;
    assert_eq!(refused.refusal(), (413, "too_many_events"));
    assert_eq!(server.offset("alice").await, 1_000);
}

#[tokio::test]
async fn a_body_of_over_four_mebibytes_is_refused() {
    let server = ApiServer::start().await;
    let long = format!("[{}]", " ".repeat(4 * 1024 * 1024));
    let refused = server.record_text(long.clone()).await;
    assert_eq!(refused.refusal(), (413, "body_too_large"));

    let pieces = long.into_bytes();
    let pieces: Vec<_> = pieces
        .chunks(64 * 1024)
        .map(|piece| Ok::<_, std::io::Error>(piece.to_vec()))
        .collect();
    let chunked = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    let refused = answer(server.post().body(chunked)).await;
    assert_eq!(refused.refusal(), (413, "body_too_large"));
}

#[tokio::test]
async fn a_length_is_not_believed_before_it_arrives() {
    let server = ApiServer::start().await;
    let mut stream = TcpStream::connect(&server.address).await.unwrap();
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-length: 9223372036854775807\r\n\r\n",
        producer()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    timeout(SOON, stream.read_exact(&mut answer))
        .await
        .expect("the answer does not wait for the body")
        .unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[tokio::test]
async fn nothing_is_recorded_of_a_body_that_breaks_off() {
    let server = ApiServer::start().await;
    let mut stream = TcpStream::connect(&server.address).await.unwrap();
    let line = event("1", "alice");
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: application/x-ndjson\r\ncontent-length: 1000\r\n\r\n{line}\n",
        producer()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    let _reset_or_end = timeout(SOON, stream.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(server.offset("alice").await, 0);
}

#[tokio::test]
async fn gzip_is_unpacked_within_bounds() {
    let server = ApiServer::start().await;
    let two = json!([event("1", "alice"), event("2", "alice")]).to_string();
    assert_eq!(
        send_gzip(&server, gzip(&two)).await.results(),
        ["recorded", "recorded"]
    );

    // Two members, as gzip allows.
    let (left, right) = two.split_at(20);
    let members = [gzip(left), gzip(right)].concat();
    assert_eq!(
        send_gzip(&server, members).await.results(),
        ["duplicate", "duplicate"]
    );

    let bomb = gzip(vec![b' '; 64 * 1024 * 1024]);
    let too_long = gzip(format!("[{}]", pseudo_random_digits(4 * 1024 * 1024)));
    let too_dense = gzip(vec![b' '; 1024 * 1024]);
    let nested = gzip(gzip(&two));
    let truncated = {
        let mut all = gzip(&two);
        all.truncate(all.len() - 9);
        all
    };
    let trailing = [gzip(&two), b"garbage".to_vec()].concat();
    for (bytes, status, code) in [
        (bomb, 413, "body_too_large"),
        (too_long, 413, "body_too_large"),
        (too_dense, 413, "body_too_large"),
        (nested, 400, "malformed_json"),
        (truncated, 400, "malformed_gzip"),
        (trailing, 400, "malformed_gzip"),
        (two.clone().into_bytes(), 400, "malformed_gzip"),
        (Vec::new(), 400, "malformed_gzip"),
    ] {
        let refused = send_gzip(&server, bytes).await;
        assert_eq!(refused.refusal(), (status, code));
    }
}

/// Digits that gzip compresses to about half.
fn pseudo_random_digits(count: usize) -> String {
    let mut state: u64 = 7;
    (0..count)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            char::from(b'1' + u8::try_from((state >> 33) % 9).unwrap())
        })
        .collect()
}

#[tokio::test]
async fn other_media_types_and_encodings_are_refused() {
    let server = ApiServer::start().await;
    for media_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonx",
        "application/json/x",
        "",
    ] {
        let refused = server
            .record_as(media_type, event("1", "alice").to_string())
            .await;
        assert_eq!(refused.refusal(), (415, "unsupported_media_type"));
    }
    for encoding in ["br", "deflate", "gzip, gzip", "zstd", ""] {
        let request = server.post().header("content-encoding", encoding);
        let refused = answer(request.json(&event("1", "alice"))).await;
        assert_eq!(refused.refusal(), (415, "unsupported_encoding"));
    }
    let twice = server
        .post()
        .header("content-encoding", "gzip")
        .header("content-encoding", "gzip")
        .json(&event("1", "alice"));
    assert_eq!(answer(twice).await.refusal(), (400, "invalid_header"));
}

#[tokio::test]
async fn without_a_media_type_it_is_json() {
    let server = ApiServer::start().await;
    let request = server.post().body(event("1", "alice").to_string());
    assert_eq!(answer(request).await.status, 201);
}

#[tokio::test]
async fn only_a_grant_that_covers_the_account_records() {
    let server = ApiServer::start().await;
    let watch_only = bearer(json!({ "accounts": "*" }));
    let own = bearer(json!({ "scope": "record" }));
    for (token, account, status) in [
        (&watch_only, "alice", 404),
        (&own, "bob", 404),
        (&own, "alice", 201),
    ] {
        let request = server
            .request(reqwest::Method::POST, "/v1/events")
            .bearer_auth(token)
            .json(&event("1", account));
        let answer = answer(request).await;
        assert_eq!(answer.status, status, "{account}");
        if status == 404 {
            assert_eq!(answer.refusal(), (404, "not_found"));
        }
    }
    let mixed = json!([event("2", "alice"), event("2", "bob"), event("3", "alice")]);
    let request = server
        .request(reqwest::Method::POST, "/v1/events")
        .bearer_auth(&own)
        .json(&mixed);
    assert_eq!(
        answer(request).await.results(),
        ["recorded", "rejected not_found", "recorded"]
    );
    assert_eq!(server.offset("bob").await, 0);
}

#[tokio::test]
async fn a_body_without_a_token_is_not_read() {
    let server = ApiServer::start().await;
    let mut stream = TcpStream::connect(&server.address).await.unwrap();
    let head = "POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    timeout(SOON, stream.read_exact(&mut answer))
        .await
        .expect("the answer does not wait for the body")
        .unwrap();
    assert_eq!(&answer, b"HTTP/1.1 401");
}

#[tokio::test]
async fn other_methods_get_the_names_of_those_that_there_are() {
    let server = ApiServer::start().await;
    let refused = answer(server.get("/v1/events")).await;
    assert_eq!(refused.refusal(), (405, "method_not_allowed"));
    assert_eq!(refused.header("allow"), Some("POST"));
}
