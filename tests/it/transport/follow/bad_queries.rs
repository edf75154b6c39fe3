//! Bad requests to every transport, by raw sockets: what each gets, and that the server still serves.

use serde_json::json;

use crate::support::{
    raw_http::{OPEN_ROUTES, RawServer, get, request},
    tokens::bearer,
};

#[tokio::test]
async fn queries_that_are_none_are_refused() {
    let server = RawServer::open().await;
    let token = bearer(json!({}));
    let bad = [
        "x=1",
        "after=a&after=b",
        "recent=1&recent=1",
        "recent=101",
        "recent=-1",
        "recent=1e2",
        "recent=NaN",
        "recent=",
        "recent=99999999999999999999999",
        "recent=0x10",
        "token=x",
        "%ff=1",
        "After=x",
        "after[]=x",
    ];
    let open = [
        "wait=1",
        "mode=all",
        "mode=",
        "mode=Totals",
        "mode=totals&mode=totals",
        "ticket=a&ticket=b",
    ];
    let polling = [
        "after=x&wait=NaN",
        "after=x&wait=-1",
        "after=x&wait=1.5",
        "after=x&wait=56",
        "after=x&wait=",
        "after=x&wait=99999999999999999999",
        "after=x&wait=1&wait=1",
        "wait=inf",
        "mode=totals",
        "ticket=x",
        "callback=f",
    ];
    for route in OPEN_ROUTES {
        for query in bad.iter().chain(&open) {
            let refused = server.ask(get("alice", route, query, &token)).await;
            assert_eq!(
                refused.refusal(),
                (Some(400), json!("invalid_query")),
                "{route} {query}"
            );
        }
    }
    for route in ["ws", "sse", "stream"] {
        let refused = server.ask(get("alice", route, "callback=f", &token)).await;
        assert_eq!(
            refused.refusal(),
            (Some(400), json!("invalid_query")),
            "{route}"
        );
    }
    for query in bad.iter().chain(&polling) {
        let refused = server.ask(get("alice", "", query, &token)).await;
        assert_eq!(
            refused.refusal(),
            (Some(400), json!("invalid_query")),
            "{query}"
        );
    }
    server.assert_healthy().await;
}

#[tokio::test]
async fn a_callback_is_a_name_or_nothing() {
    let server = RawServer::open().await;
    let token = bearer(json!({}));
    let long = format!("callback={}", "f".repeat(65));
    for query in [
        "callback=",
        "callback=f&callback=f",
        "callback=%3C/script%3E",
        "callback=a.b",
        "callback=a%20b",
        "callback=a+b",
        "callback=f()",
        "callback=f%28%29",
        "callback=f;g",
        "callback=1f",
        "callback=%C3%A9",
        "callback=f%0A",
        "callback=f%00",
        "callback=%E2%80%AEf",
        "callback=f%2F%2F",
        "callback=f%5B0%5D",
        "callback=%ff",
        &long,
    ] {
        let refused = server.ask(get("alice", "iframe", query, &token)).await;
        assert_eq!(
            refused.refusal(),
            (Some(400), json!("invalid_query")),
            "{query}"
        );
        assert_eq!(
            refused.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(refused.status(), Some(400));
    }
    // Not even a valid HTTP target.
    let raw = server.ask(get("alice", "iframe", "callback=</script>", &token));
    assert_eq!(raw.await.status(), Some(400));
    let most = format!("callback={}", "$".repeat(64));
    let answer = server.ask(get("alice", "iframe", &most, &token)).await;
    assert_eq!(answer.status(), Some(200));
    server.assert_healthy().await;
}

#[tokio::test]
async fn a_position_is_never_trusted_however_long() {
    let server = RawServer::open().await;
    let token = bearer(json!({}));
    for route in OPEN_ROUTES.into_iter().chain([""]) {
        for length in [16 << 10, 60 << 10, 1 << 20] {
            let query = format!("after={}", "A".repeat(length));
            let refused = server.ask(get("alice", route, &query, &token)).await;
            // A close during the send is fine too.
            let is_refused = matches!(refused.status(), Some(414 | 431) | None);
            assert!(is_refused, "{route} {length}: {:?}", refused.status());
        }
    }
    let long = "A".repeat(8 << 10);
    for position in ["x", "%00", "%0d%0aX:%201", "..%2F..", "%ff", "-1", &long] {
        let request = get("alice", "", &format!("after={position}"), &token);
        let answer = server.ask_to_end(&request).await;
        assert!(
            answer.contains(r#""reason":"bad_position""#),
            "{position}: {answer}"
        );
    }
    let last = |ids: &[&[u8]]| {
        let request = get("alice", "sse", "", &token);
        let mut bytes = request.strip_suffix("\r\n").unwrap().as_bytes().to_vec();
        for id in ids {
            bytes.extend([b"Last-Event-ID: ", *id, b"\r\n"].concat());
        }
        [&bytes[..], b"\r\n"].concat()
    };
    for (ids, status) in [
        (&[&b"\xff\xfe"[..]][..], 200),
        (&[b""], 200),
        (&[b"x", b"y"], 400),
        (&[b"a\0b"], 400),
    ] {
        assert_eq!(
            server.ask(last(ids)).await.status(),
            Some(status),
            "{ids:?}"
        );
    }
    server.assert_healthy().await;
}

#[tokio::test]
async fn other_methods_are_told_which_there_are() {
    let server = RawServer::open().await;
    let headers = format!("Authorization: Bearer {}\r\n", bearer(json!({})));
    for method in [
        "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW",
    ] {
        for route in OPEN_ROUTES {
            let refused = server
                .ask(request(method, "alice", route, "", &headers))
                .await;
            assert_eq!(refused.status(), Some(405), "{method} {route}");
            assert_eq!(refused.header("allow"), Some("GET"), "{method} {route}");
        }
        for path in ["/v1/push", "/v1/tickets"] {
            if method != "POST" {
                let request = format!(
                    "{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}Connection: close\r\n\r\n"
                );
                let refused = server.ask(request).await;
                assert_eq!(refused.status(), Some(405), "{method} {path}");
                assert_eq!(refused.header("allow"), Some("POST"), "{method} {path}");
            }
        }
    }
    server.assert_healthy().await;
}
