use std::{net::SocketAddr, sync::Arc};

use axum::{Router, routing::get};
use tallycast::{Limits, serve::TrustedProxies};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::Semaphore,
    time::timeout,
};

use crate::support::{
    raw_http::status,
    router_server::{GET, GET_AND_CLOSE, RawClient, RouterServer, UPGRADE, upgrading},
};

const GET_BUSY: &[u8] = b"GET /busy HTTP/1.1\r\nHost: a\r\n\r\n";

/// A router whose `/busy` answers once the test adds a permit, and tells the test of each request.
struct Busy {
    begun: Arc<Semaphore>,
    finish: Arc<Semaphore>,
}

impl Busy {
    fn router() -> (Router, Self) {
        let busy = Self {
            begun: Arc::new(Semaphore::new(0)),
            finish: Arc::new(Semaphore::new(0)),
        };
        let (begun, finish) = (Arc::clone(&busy.begun), Arc::clone(&busy.finish));
        let handler = move || async move {
            begun.add_permits(1);
            finish.acquire().await.unwrap().forget();
            "done"
        };
        let router = Router::new()
            .route("/", get(|| async { "hello" }))
            .route("/busy", get(handler));
        (router, busy)
    }

    /// Keeps a client's connection busy.
    async fn with(&self, mut client: RawClient) -> RawClient {
        client.send(GET_BUSY).await;
        self.begun.acquire().await.unwrap().forget();
        client
    }

    fn finish(&self) {
        self.finish.add_permits(1);
    }
}

async fn client_from(address: &str, server: SocketAddr) -> RawClient {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(address.parse().unwrap()).unwrap();
    RawClient(socket.connect(server).await.unwrap())
}

async fn is_served(client: &mut RawClient) -> bool {
    client.send(GET).await;
    status(&client.answer().await) == Some(200)
}

#[tokio::test]
async fn one_address_gets_only_its_share() {
    let (router, busy) = Busy::router();
    let limits = Limits {
        connections_per_peer_max: Some(2),
        ..Limits::default()
    };
    let server = RouterServer::start(router, limits).await;
    let mut first = busy.with(server.client().await).await;
    let _second = busy.with(server.client().await).await;
    let mut third = server.client().await;
    third.send(GET).await;
    let refusal = third.rest().await;
    assert_eq!(status(&refusal), Some(429), "{refusal}");
    assert!(refusal.contains("\r\nretry-after: 5\r\n"), "{refusal}");
    assert!(
        refusal.contains(r#""code":"too_many_requests""#),
        "{refusal}"
    );
    let mut neighbour = client_from("127.0.0.2:0", server.address).await;
    assert!(is_served(&mut neighbour).await);
    busy.finish();
    assert_eq!(status(&first.answer().await), Some(200));
}

#[tokio::test]
async fn default_share_is_a_quarter_of_all_connections() {
    let (router, busy) = Busy::router();
    let limits = Limits {
        connections_max: 8,
        ..Limits::default()
    };
    let server = RouterServer::start(router, limits).await;
    let _first = busy.with(server.client().await).await;
    let _second = busy.with(server.client().await).await;
    assert_eq!(status(&server.client().await.rest().await), Some(429));
    assert!(is_served(&mut client_from("127.0.0.2:0", server.address).await).await);
}

#[tokio::test]
async fn longest_idle_connection_of_an_address_gives_way() {
    let (router, busy) = Busy::router();
    let limits = Limits {
        connections_per_peer_max: Some(3),
        ..Limits::default()
    };
    let server = RouterServer::start(router, limits).await;
    let mut working = busy.with(server.client().await).await;
    let mut first = server.client().await;
    let mut second = server.client().await;
    for client in [&mut first, &mut second] {
        assert!(is_served(client).await);
    }
    let mut other = client_from("127.0.0.2:0", server.address).await;
    assert!(is_served(&mut other).await);
    assert!(
        is_served(&mut first).await,
        "now the second is idle for longer"
    );
    let mut newcomer = server.client().await;
    assert!(is_served(&mut newcomer).await);
    assert_eq!(second.rest().await, "");
    for client in [&mut first, &mut newcomer, &mut other] {
        assert!(is_served(client).await);
    }
    busy.finish();
    assert_eq!(status(&working.answer().await), Some(200));
}

#[tokio::test]
async fn silent_connections_give_way_on_a_full_listener() {
    let (router, _busy) = Busy::router();
    let limits = Limits {
        connections_max: 4,
        connections_per_peer_max: Some(4),
        ..Limits::default()
    };
    let server = RouterServer::start(router, limits).await;
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(server.client().await);
    }
    let honest = async {
        assert!(is_served(&mut client_from("127.0.0.2:0", server.address).await).await);
        assert!(is_served(&mut server.client().await).await);
    };
    timeout(Limits::HEAD_TIMEOUT / 2, honest)
        .await
        .expect("they need not wait for the timeout");
}

#[tokio::test]
async fn upgraded_connection_keeps_its_place_until_it_is_dropped() {
    let (router, mut streams) = upgrading();
    let limits = Limits {
        connections_per_peer_max: Some(1),
        ..Limits::default()
    };
    let server = RouterServer::start(router, limits).await;
    let mut first = server.client().await;
    first.send(UPGRADE).await;
    let (_early, _stream, slot) = streams.recv().await.unwrap();
    assert_eq!(status(&server.client().await.rest().await), Some(429));
    drop(slot);
    let mut second = server.client().await;
    second.send(UPGRADE).await;
    assert_eq!(status(&second.answer().await), Some(101));
}

#[tokio::test]
async fn connections_beyond_all_wait_for_a_place() {
    let (router, busy) = Busy::router();
    let limits = Limits {
        connections_max: 1,
        ..Limits::default()
    };
    let server = RouterServer::start(router, limits).await;
    let mut first = busy.with(server.client().await).await;
    let mut second = client_from("127.0.0.2:0", server.address).await;
    second.send(GET_AND_CLOSE).await;
    assert!(second.0.try_read(&mut [0]).is_err(), "nothing yet");
    busy.finish();
    assert_eq!(status(&first.answer().await), Some(200));
    assert_eq!(status(&second.rest().await), Some(200));
}

#[tokio::test]
async fn trusted_proxy_has_no_limit_of_its_own() {
    let (router, busy) = Busy::router();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let limits = Limits {
        connections_per_peer_max: Some(1),
        ..Limits::default()
    };
    let proxies: TrustedProxies = "127.0.0.2".parse().unwrap();
    tokio::spawn(
        tallycast::serve(listener, router, limits)
            .trusted_proxies(proxies)
            .into_future(),
    );
    let _first = busy.with(client_from("127.0.0.2:0", address).await).await;
    let _second = busy.with(client_from("127.0.0.2:0", address).await).await;
    let _stranger = busy.with(client_from("127.0.0.3:0", address).await).await;
    let mut refused = client_from("127.0.0.3:0", address).await;
    assert_eq!(status(&refused.rest().await), Some(429));
}
