//! Bodies that are too long, that unpack to more than they seem, or that parsers read differently.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use crate::support::{
    attacked_server::AttackedServer,
    tokens::{admin, producer},
};

/// Each route that reads a body, and the most bytes that it takes.
const BODIES: [(&str, &str, usize); 6] = [
    ("POST", "/v1/events", 4 << 20),
    ("POST", "/v1/push", 68 << 10),
    ("POST", "/v1/tickets", 4 << 10),
    ("POST", "/v1/revocations", 49 << 10),
    ("POST", "/v1/disconnect", 49 << 10),
    ("PUT", "/v1/accounts/alice", 64 << 10),
];

fn head(method: &str, path: &str, headers: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n{headers}\
         Connection: close\r\n\r\n",
        admin()
    )
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_however_it_comes() {
    let server = AttackedServer::open().await;
    let too_large = (Some(413), json!("body_too_large"));
    for (method, path, most) in BODIES {
        // Declared and never sent: the answer waits for nothing, and no memory is taken for it.
        for declared in [
            most as u64 + 1,
            1 << 40,
            (1 << 63) - 1,
            1 << 63,
            u64::MAX - 2,
        ] {
            // A client that asks first is not told to go on.
            for asks in ["", "Expect: 100-continue\r\n"] {
                let headers = format!("Content-Length: {declared}\r\n{asks}");
                let refused = server.ask(head(method, path, &headers)).await;
                assert_eq!(refused.refusal(), too_large, "{path}, {declared} declared");
            }
        }
        let chunked = head(method, path, "Transfer-Encoding: chunked\r\n");
        for length in [1, 10, 4_096] {
            // Four mebibytes byte by byte are a matter of the loop, not of the route.
            if most > 1 << 20 && length < 4_096 {
                continue;
            }
            let chunk = format!("{length:x}\r\n{}\r\n", " ".repeat(length));
            let body = chunk.repeat(most / length + 1);
            let refused = server.ask(format!("{chunked}{body}0\r\n\r\n")).await;
            assert_eq!(refused.refusal(), too_large, "{path}, chunks of {length}");
        }
        // One byte less gets an answer about its content.
        let blank = " ".repeat(most);
        let read = server.call(method, path, &admin(), blank).await;
        assert_eq!(read.status(), Some(400), "{path}: {read:?}");
    }
    server.assert_unharmed().await;
}

/// A length that is no length never gets as far as a route.
#[tokio::test]
async fn a_length_beyond_every_number_is_refused() {
    let server = AttackedServer::open().await;
    for (method, path, _) in BODIES {
        for declared in ["18446744073709551616", "1e9", "0x10", "-1", "5 5", ""] {
            let length = format!("Content-Length: {declared}\r\n");
            let refused = server.ask(head(method, path, &length)).await;
            assert_eq!(refused.status(), Some(400), "{path}, {declared:?}");
        }
    }
    server.assert_unharmed().await;
}

/// JSON that some parsers refuse and others read, each in its own way.
fn odd_values() -> Vec<(&'static str, String)> {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    vec![
        ("1,000 levels", nested(1_000)),
        ("20,000 levels", nested(20_000)),
        ("100,000 levels that do not end", "[".repeat(100_000)),
        ("100,000 objects", r#"{"a":"#.repeat(100_000)),
        ("a repeated name", r#"{"a":1,"a":2}"#.to_owned()),
        (
            "a repeated name inside",
            r#"[{"a":{"b":1,"\u0062":2}}]"#.to_owned(),
        ),
        ("beyond every float", "1e400".to_owned()),
        ("beyond every float, negative", "-1e400".to_owned()),
        ("beyond every float, inside", r#"{"a":[1e999]}"#.to_owned()),
        ("half a pair", r#""\ud800""#.to_owned()),
        ("the other half", r#""\udc00""#.to_owned()),
        ("the halves reversed", r#""\udc00\ud800""#.to_owned()),
        ("half a pair as a name", r#"{"\ud800":1}"#.to_owned()),
        ("NaN", "NaN".to_owned()),
        ("Infinity", "-Infinity".to_owned()),
        ("a leading zero", "01".to_owned()),
        ("a plus", "+1".to_owned()),
        ("hexadecimal", "0x10".to_owned()),
        ("single quotes", "'a'".to_owned()),
        ("a raw control character", "\"a\u{1}b\"".to_owned()),
        ("a raw line break", "\"a\nb\"".to_owned()),
        ("a comment", "1/**/".to_owned()),
        ("nothing", String::new()),
    ]
}

/// Where each route reads a value, and the codes of its refusals.
const PLACES: [(&str, &str, &str, &str); 10] = [
    (
        "POST",
        "/v1/events",
        r#"{"id":@,"account":"alice","amount":"1","unit":"CNY"}"#,
        "malformed_json invalid_event event_too_large",
    ),
    (
        "POST",
        "/v1/events",
        r#"{"id":"1","account":"alice","amount":@,"unit":"CNY"}"#,
        "malformed_json invalid_event event_too_large invalid_amount",
    ),
    (
        "POST",
        "/v1/events",
        r#"{"id":"1","account":"alice","amount":"1","unit":"CNY","attributes":{"a":@}}"#,
        "malformed_json invalid_event event_too_large",
    ),
    (
        "POST",
        "/v1/push",
        r#"{"to":{"account":"alice"},"event":"e","data":@}"#,
        "invalid_push",
    ),
    (
        "POST",
        "/v1/push",
        r#"{"to":{"account":"alice"},"event":@}"#,
        "invalid_push",
    ),
    ("POST", "/v1/tickets", r#"{"account":@}"#, "invalid_request"),
    (
        "POST",
        "/v1/revocations",
        r#"{"jti":@}"#,
        "invalid_revocation",
    ),
    (
        "POST",
        "/v1/disconnect",
        r#"{"subject":@}"#,
        "invalid_disconnect",
    ),
    (
        "PUT",
        "/v1/accounts/alice",
        r#"{"name":@}"#,
        "invalid_profile",
    ),
    (
        "PUT",
        "/v1/accounts/alice",
        r#"{"budgets":[{"id":"b","unit":"CNY","window":"day","thresholds":[50],"limit":@}]}"#,
        "invalid_profile invalid_budget",
    ),
];

#[tokio::test]
async fn json_that_parsers_read_differently_is_refused_on_every_route() {
    let server = AttackedServer::open().await;
    let before = server.alices_offset().await;
    for (method, path, place, codes) in PLACES {
        for (name, value) in odd_values() {
            let body = place.replace('@', &value);
            let refused = server.call(method, path, &admin(), &body).await;
            let (status, code) = refused.refusal();
            let code = code.as_str().unwrap_or_default();
            let is_refused = match status {
                Some(413) => code == "body_too_large" || codes.contains(code),
                Some(400 | 422) => !code.is_empty() && codes.contains(code),
                _ => false,
            };
            assert!(is_refused, "{path}, {name}: {status:?} {code}");
            assert!(refused.0.len() < 2_000, "the body is not repeated: {name}");
        }
    }
    // The same events in the other forms of a body: one refusal per item.
    for (name, value) in odd_values() {
        let event = PLACES[0].2.replace('@', &value);
        let cloud = format!(
            r#"{{"specversion":"1.0","id":"1","source":"s","type":"t","subject":"alice","data":{{"amount":"1","unit":{value}}}}}"#
        );
        for (media_type, body) in [
            ("application/x-ndjson", event.clone()),
            ("application/json", format!("[{event}]")),
            ("application/cloudevents+json", cloud.clone()),
            ("application/cloudevents-batch+json", format!("[{cloud}]")),
        ] {
            let length = body.len();
            let request = format!(
                "POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
                 Content-Type: {media_type}\r\nContent-Length: {length}\r\n\
                 Connection: close\r\n\r\n{body}",
                producer()
            );
            let mut attacker = server.connect().await;
            attacker.send(request).await;
            let answer = attacker.rest().await;
            assert!(
                answer.contains(r#""code":""#),
                "{media_type}, {name}: {answer}"
            );
            assert!(
                !answer.contains(r#""recorded""#),
                "{media_type}, {name}: {answer}"
            );
        }
    }
    assert_eq!(server.alices_offset().await, before, "nothing is recorded");
    server.assert_unharmed().await;
}

#[tokio::test]
async fn a_repeated_name_at_the_top_is_refused_on_every_route() {
    let server = AttackedServer::open().await;
    for (method, path, body) in [
        (
            "POST",
            "/v1/events",
            r#"{"id":"1","account":"alice","account":"bob","amount":"1","unit":"CNY"}"#,
        ),
        (
            "POST",
            "/v1/push",
            r#"{"to":{"account":"alice","account":"bob"},"event":"e"}"#,
        ),
        (
            "POST",
            "/v1/push",
            r#"{"to":{"all":true},"event":"e","event":"f"}"#,
        ),
        (
            "POST",
            "/v1/tickets",
            r#"{"account":"alice","account":"bob"}"#,
        ),
        ("POST", "/v1/revocations", r#"{"jti":"a","jti":"b"}"#),
        ("POST", "/v1/disconnect", r#"{"subject":"a","subject":"b"}"#),
        ("PUT", "/v1/accounts/alice", r#"{"name":"A","name":"B"}"#),
        (
            "PUT",
            "/v1/accounts/alice",
            r#"{"budgets":[{"id":"b","id":"c","unit":"CNY","window":"day","thresholds":[50],"limit":"1"}]}"#,
        ),
    ] {
        let refused = server.call(method, path, &admin(), body).await;
        let (status, code) = refused.refusal();
        assert!(matches!(status, Some(400 | 422)), "{path}: {refused:?}");
        assert!(code.is_string(), "{path}: {refused:?}");
    }
    server.assert_unharmed().await;
}

/// A refusal may quote what is wrong, which is as long as its sender likes.
#[tokio::test]
async fn a_refusal_quotes_little_of_a_long_name() {
    let server = AttackedServer::open().await;
    for (method, path, most) in BODIES {
        let long = "\u{202e}<script>".repeat((most.min(15 << 10) - 100) / 11);
        let body = json!({ long: 1 }).to_string();
        let refused = server.call(method, path, &admin(), body).await;
        assert!(matches!(refused.status(), Some(400 | 422)), "{path}");
        assert!(refused.0.len() < 2_000, "{path}: {} bytes", refused.0.len());
        let query = format!("{path}?{}=1", "x".repeat(15 << 10));
        let refused = server.call(method, &query, &admin(), "").await;
        assert_eq!(refused.refusal(), (Some(400), json!("invalid_query")));
        assert!(refused.0.len() < 2_000, "{path}: {} bytes", refused.0.len());
    }
    server.assert_unharmed().await;
}

fn gzip(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes.as_ref()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_gzip_bomb_is_refused_in_every_form_and_on_every_route() {
    let server = AttackedServer::open().await;
    let bomb = gzip(vec![b' '; 64 << 20]);
    let nested = gzip(&bomb);
    let cut = bomb[..bomb.len() / 2].to_vec();
    // Many small members, each of which stays below the size that any ratio is accepted for.
    let members = gzip(vec![b' '; 60 << 10]).repeat(200);
    let too_large: &[(u16, &str)] = &[(413, "body_too_large")];
    for media_type in [
        "application/json",
        "application/x-ndjson",
        "application/cloudevents+json",
        "application/cloudevents-batch+json",
    ] {
        let headers = format!("Content-Type: {media_type}\r\nContent-Encoding: gzip\r\n");
        let send = async |body: &[u8]| {
            server
                .call_with("POST", "/v1/events", &producer(), &headers, body)
                .await
        };
        for (name, body) in [("whole", &bomb), ("cut", &cut), ("members", &members)] {
            let refused = send(body).await;
            let (status, code) = refused.refusal();
            let found = (status.unwrap(), code.as_str().unwrap());
            assert!(
                too_large.contains(&found),
                "{media_type}, {name}: {found:?}"
            );
        }
        // The inner bomb is not unpacked: its bytes are no JSON, and dense.
        let mut attacker = server.connect().await;
        let head = format!(
            "POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n{headers}\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            producer(),
            nested.len()
        );
        attacker.send([head.as_bytes(), &nested].concat()).await;
        let answer = attacker.rest().await;
        let codes = ["malformed_json", "event_too_large", "body_too_large"];
        let is_refused = codes.map(|code| answer.contains(code));
        assert!(is_refused.contains(&true), "{media_type}: {answer}");
        let twice = headers.replace("gzip", "gzip, gzip");
        let refused = server
            .call_with("POST", "/v1/events", &producer(), &twice, &nested)
            .await;
        let unsupported = (Some(415), json!("unsupported_encoding"));
        assert_eq!(refused.refusal(), unsupported, "{media_type}");
    }
    // Only events may be compressed.
    for (method, path, _) in BODIES.into_iter().skip(1) {
        let headers = "Content-Type: application/json\r\nContent-Encoding: gzip\r\n";
        let refused = server
            .call_with(method, path, &admin(), headers, &bomb)
            .await;
        let (status, code) = refused.refusal();
        assert_eq!(
            (status, code),
            (Some(415), Value::from("unsupported_media_type")),
            "{path}"
        );
    }
    server.assert_unharmed().await;
}
