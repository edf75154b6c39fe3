use std::time::Duration;

use axum::{body::Body, http::Request};
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};
use tallycast::{Hub, Jwt, Memory, Quotas};
use tokio::net::TcpStream;
use tower::ServiceExt;

use super::{host, refusal};
use crate::support::{
    host::Host,
    raw_http::status,
    router_server::RawClient,
    tokens::{SECRET, admin, bearer, producer},
};

const MIB: usize = 1024 * 1024;

/// Sends a request's head and no body. The server may answer before it.
async fn unfinished(host: &Host, request: &str, token: &str, length: usize) -> RawClient {
    let mut client = RawClient(TcpStream::connect(host.address).await.unwrap());
    let head = format!(
        "{request} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n"
    );
    client.send(head).await;
    client
}

#[tokio::test]
async fn permission_is_checked_before_a_body_is_read() {
    let host = host(Quotas::default()).await;
    let watch = bearer(json!({}));
    let push = bearer(json!({ "scope": "push" }));
    let cases = [
        ("POST /v1/events", &watch, 4 * MIB),
        ("PUT /v1/accounts/alice", &watch, 1_000),
        ("POST /v1/push", &watch, 1_000),
        ("POST /v1/tickets", &push, 100),
    ];
    for (request, token, length) in cases {
        let answer = unfinished(&host, request, token, length)
            .await
            .answer()
            .await;
        assert_eq!(status(&answer), Some(404), "{request}: {answer}");
    }
}

#[tokio::test]
async fn bytes_of_one_client_are_bounded_before_they_arrive() {
    let host = host(Quotas {
        body_bytes_per_client_max: 4 * MIB,
        ..Quotas::default()
    })
    .await;
    let producer = producer();
    let first = unfinished(&host, "POST /v1/events", &producer, 4 * MIB).await;
    let mut second = unfinished(&host, "POST /v1/events", &producer, 1).await;
    let refused = second.answer().await;
    // Both are read by tasks of their own, so either may have come first.
    let mut first = first;
    let refused = match status(&refused) {
        Some(429) => refused,
        _ => first.answer().await,
    };
    assert_eq!(status(&refused), Some(429), "{refused}");
    assert!(refused.contains("retry-after: 6\r\n"), "{refused}");
    assert!(refused.contains("too_many_requests"), "{refused}");
}

#[tokio::test]
async fn bytes_of_all_clients_are_bounded_and_come_free() {
    let host = host(Quotas {
        body_bytes_max: MIB,
        ..Quotas::default()
    })
    .await;
    let too_large = unfinished(&host, "POST /v1/events", &producer(), 2 * MIB)
        .await
        .answer()
        .await;
    assert_eq!(status(&too_large), Some(503), "{too_large}");
    assert!(too_large.contains("retry-after: 2\r\n"), "{too_large}");
    let url = format!("http://{}/v1/events", host.address);
    let client = reqwest::Client::new();
    for id in 0..20 {
        let events: Vec<_> = (0..1_000)
            .map(|item| {
                json!({ "id": format!("{id}-{item}"), "account": "a", "amount": "1", "unit": "CNY",
                "description": "x".repeat(400) })
            })
            .collect();
        let recorded = client
            .post(&url)
            .bearer_auth(producer())
            .json(&events)
            .send()
            .await
            .unwrap();
        assert_eq!(
            recorded.status(),
            200,
            "each is forgotten once it is answered"
        );
    }
}

#[tokio::test]
async fn a_long_body_in_parts_of_any_size_arrives_whole() {
    let host = host(Quotas::default()).await;
    let event = |id| json!({ "id": format!("{id}"), "account": "a", "amount": "1", "unit": "CNY", "description": "x".repeat(300) });
    let events: Vec<_> = (0..800).map(event).collect();
    let body = Bytes::from(serde_json::to_vec(&events).unwrap());
    assert!(body.len() > 4 * 64 * 1024, "several segments");
    for part in [
        1_000,
        64 * 1024 - 1,
        64 * 1024,
        64 * 1024 + 1,
        200_000,
        body.len(),
    ] {
        let parts: Vec<_> = body
            .chunks(part)
            .map(|part| Ok::<_, std::io::Error>(body.slice_ref(part)))
            .collect();
        let request = reqwest::Client::new()
            .post(format!("http://{}/v1/events", host.address))
            .bearer_auth(producer())
            .header("content-type", "application/json")
            .body(reqwest::Body::wrap_stream(stream::iter(parts)));
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        let results = answer["results"].as_array().unwrap();
        let offsets = results
            .iter()
            .map(|result| result["offset"].as_u64().unwrap());
        // Each is the same event as the first time, in its place.
        assert!(offsets.eq(1..=800), "parts of {part}");
    }
}

#[tokio::test]
async fn decompressed_bytes_count() {
    use std::io::Write;
    let host = host(Quotas {
        body_bytes_per_client_max: MIB,
        ..Quotas::default()
    })
    .await;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&vec![b' '; 2 * MIB]).unwrap();
    let url = format!("http://{}/v1/events", host.address);
    let request = reqwest::Client::new().post(url).bearer_auth(producer());
    let request = request
        .header("content-encoding", "gzip")
        .header("content-type", "application/json");
    let mut body = gzip.finish().unwrap();
    body.resize(body.len().max(16 * 1024), 0);
    let (status, _, code) = refusal(request.body(body).send().await.unwrap()).await;
    assert_eq!((status, code.as_str()), (429, "too_many_requests"));
}

#[tokio::test(start_paused = true)]
async fn body_has_a_deadline_as_a_whole() {
    let hub = Hub::builder(Memory::new(), Jwt::hs256(SECRET).unwrap());
    let router = hub.build().await.unwrap().router();
    // Faster than any limit on its rate, and never at its end.
    let endless = stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Some((
            Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 8 * 1024])),
            (),
        ))
    });
    let request = Request::post("/v1/events")
        .header("authorization", format!("Bearer {}", admin()))
        .header("content-type", "application/json")
        .body(Body::from_stream(endless))
        .unwrap();
    let response = router.oneshot(request).await.unwrap();
    assert_eq!(response.status(), 408);
}
