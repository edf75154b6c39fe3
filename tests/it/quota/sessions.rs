use futures_util::future::join_all;
use tallycast::{Hub, Memory, Quotas};

use crate::support::{
    feed_hub::TestAuthorizer,
    host::{Host, client_from},
    raw_http::status,
    router_server::RawClient,
};

const OPEN: &str = "EIO=4&transport=polling";

/// The status of a new session for a client of this address, over a new connection.
async fn open_from(host: &Host, address: &str) -> u16 {
    let opened = client_from(address).get(host.url(OPEN)).send().await;
    opened.unwrap().status().as_u16()
}

#[tokio::test]
async fn pipelined_handshakes_are_refused_beyond_the_rate_of_a_connection() {
    let host = super::host(Quotas {
        session_rate_per_connection: 1,
        ..Quotas::default()
    })
    .await;
    let mut client = RawClient(tokio::net::TcpStream::connect(host.address).await.unwrap());
    let open = format!("GET /socket.io/?{OPEN} HTTP/1.1\r\nHost: a\r\n\r\n");
    client.send(open.repeat(49)).await;
    client
        .send(open.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"))
        .await;
    let answers = client.rest().await;
    let count = |status: &str| answers.matches(&format!("HTTP/1.1 {status} ")).count();
    assert_eq!((count("200"), count("429")), (10, 40), "{answers}");
    let (_, refused) = answers.split_once("HTTP/1.1 429").unwrap();
    assert!(refused.contains("retry-after: 1\r\n"), "{refused}");
    assert!(refused.contains("too_many_requests"), "{refused}");
    assert_eq!(host.hub.sessions(), 10);
    assert_eq!(
        open_from(&host, "127.0.0.1").await,
        200,
        "another connection"
    );
}

#[tokio::test]
async fn handshakes_are_refused_beyond_the_rate_of_an_address() {
    let host = super::host(Quotas {
        session_rate_per_address: 1,
        ..Quotas::default()
    })
    .await;
    let statuses = join_all((0..30).map(|_| open_from(&host, "127.0.0.1"))).await;
    let refused = statuses.iter().filter(|status| **status == 429).count();
    assert!(refused >= 18, "{statuses:?}");
    assert!(statuses.iter().filter(|status| **status == 200).count() >= 10);
    assert_eq!(open_from(&host, "127.0.0.2").await, 200);
    let ws = host
        .try_ws("EIO=4&transport=websocket")
        .await
        .err()
        .unwrap();
    assert_eq!(ws.to_string(), "HTTP error: 429 Too Many Requests");
}

#[tokio::test]
async fn sessions_of_an_address_are_bounded_and_come_free() {
    let host = super::host(Quotas {
        sessions_per_address_max: 2,
        ..Quotas::default()
    })
    .await;
    let first = host.ws().await;
    let _second = host.poll().await;
    assert_eq!(open_from(&host, "127.0.0.1").await, 429);
    assert_eq!(open_from(&host, "127.0.0.2").await, 200);
    drop(first);
    host.until_sessions(2).await;
    assert_eq!(open_from(&host, "127.0.0.1").await, 200);
}

#[tokio::test]
async fn address_gets_at_most_a_quarter_of_all_sessions() {
    let hub = Hub::builder(Memory::new(), TestAuthorizer).sessions_max(8);
    let host = Host::start(hub.build().await.unwrap()).await;
    let (_first, _second) = (host.ws().await, host.ws().await);
    assert_eq!(open_from(&host, "127.0.0.1").await, 429);
    for neighbour in ["127.0.0.2", "127.0.0.3", "127.0.0.4"] {
        assert_eq!(open_from(&host, neighbour).await, 200);
        assert_eq!(open_from(&host, neighbour).await, 200);
    }
    assert_eq!(
        open_from(&host, "127.0.0.5").await,
        503,
        "the server is full"
    );
}

#[tokio::test]
async fn refusal_over_raw_http_names_no_other_status() {
    let host = super::host(Quotas {
        sessions_per_address_max: 0,
        ..Quotas::default()
    })
    .await;
    let mut client = RawClient(tokio::net::TcpStream::connect(host.address).await.unwrap());
    let open = format!("GET /socket.io/?{OPEN} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    client.send(open).await;
    assert_eq!(status(&client.rest().await), Some(429));
}
