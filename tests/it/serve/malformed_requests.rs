use axum::{Router, body::Bytes, routing::any};
use tallycast::Limits;

use crate::support::{raw_http::status, router_server::RouterServer};

/// Requests that two parsers may take apart differently.
pub(super) const AMBIGUOUS: [&str; 17] = [
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\ncontent-length: 3\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 3\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "GET / HTTP/1.1\nHost: a\n\n",
    "GET / HTTP/1.1\r\nHost: a\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n",
    "GET / HTTP/1.1\r\nHo st: a\r\n\r\n",
    "GET / HTTP/9.9\r\nHost: a\r\n\r\n",
    "nonsense\r\n\r\n",
];

/// The status of the answer to `request`, or none if the server just closes.
async fn answer_to(request: &str) -> Option<u16> {
    status(&text_for(request).await)
}

async fn text_for(request: &str) -> String {
    let router = Router::new().fallback(any(|body: Bytes| async move { body.len().to_string() }));
    let server = RouterServer::start(router, Limits::default()).await;
    let mut client = server.client().await;
    // A refused client may find the connection closed before it has sent everything.
    let _ = tokio::io::AsyncWriteExt::write_all(&mut client.0, request.as_bytes()).await;
    client.rest().await
}

#[tokio::test]
async fn well_formed_requests_are_answered() {
    for request in [
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\n\r\na\nb",
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na\nb\r\n0\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
    ] {
        assert_eq!(answer_to(request).await, Some(200), "{request:?}");
    }
    let long = format!(
        "GET /{} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "x".repeat(8 << 10)
    );
    assert_eq!(answer_to(&long).await, Some(200));
}

#[tokio::test]
async fn ambiguous_framing_is_refused() {
    for request in AMBIGUOUS {
        assert_eq!(answer_to(request).await, Some(400), "{request:?}");
    }
}

#[tokio::test]
async fn a_request_names_one_host() {
    for host in [
        "",
        "a",
        "a:3000",
        "A_b.example:",
        "127.0.0.1:80",
        "[::1]:3000",
    ] {
        let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\nConnection: close\r\n\r\n");
        assert_eq!(answer_to(&request).await, Some(200), "{host:?}");
    }
    for headers in [
        "",
        "X-Host: a\r\n",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nX: y\r\nhost: b\r\n",
        "Host: a, b\r\n",
        "Host: a b\r\n",
        "Host: a/b\r\n",
        "Host: http://a\r\n",
        "Host: user@a\r\n",
        "Host: a?b\r\n",
        "Host: a:b\r\n",
    ] {
        let request = format!("GET / HTTP/1.1\r\n{headers}\r\n");
        assert_eq!(answer_to(&request).await, Some(400), "{headers:?}");
    }
    let two = "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n";
    assert_eq!(answer_to(two).await, Some(400));
}

#[tokio::test]
async fn bad_chunks_are_refused() {
    for chunks in [
        "x\r\nabc\r\n0\r\n\r\n",
        "3\nabc\r\n0\r\n\r\n",
        "3\r\nabcX\r\n0\r\n\r\n",
        "FFFFFFFFFFFFFFFFF\r\n",
        "-1\r\n\r\n",
    ] {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let answer = answer_to(&format!("{head}{chunks}")).await;
        assert!(matches!(answer, None | Some(400)), "{chunks:?}: {answer:?}");
    }
}

#[tokio::test]
async fn oversized_heads_are_refused() {
    let uri = |bytes| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(bytes));
    let too_long = text_for(&uri(Limits::URI_BYTES_MAX)).await;
    assert_eq!(status(&too_long), Some(414));
    assert!(
        too_long.contains("cache-control: no-store\r\n"),
        "{too_long}"
    );
    assert!(matches!(answer_to(&uri(64 << 10)).await, Some(414 | 431)));
    let header = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(64 << 10));
    assert_eq!(answer_to(&header).await, Some(431));
    let headers = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(1000));
    assert_eq!(answer_to(&headers).await, Some(431));
}
