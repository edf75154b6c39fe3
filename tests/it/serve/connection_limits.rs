use std::net::SocketAddr;

use axum::{Router, routing::get};
use tallycast::Limits;
use tokio::net::TcpSocket;

use crate::support::{
    raw_http::status,
    router_server::{GET, GET_AND_CLOSE, RawClient, RouterServer, UPGRADE, upgrading},
};

async fn client_from(address: &str, server: SocketAddr) -> RawClient {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(address.parse().unwrap()).unwrap();
    RawClient(socket.connect(server).await.unwrap())
}

#[tokio::test]
async fn one_address_gets_only_its_share() {
    let router = Router::new().route("/", get(|| async { "hello" }));
    let limits = Limits {
        connections_per_peer_max: 2,
        ..Limits::default()
    };
    let server = RouterServer::start(router, limits).await;
    let mut first = server.client().await;
    let mut second = server.client().await;
    for client in [&mut first, &mut second] {
        client.send(GET).await;
        assert_eq!(status(&client.answer().await), Some(200));
    }
    assert_eq!(
        server.client().await.rest().await,
        "",
        "a third one is closed"
    );
    let mut neighbour = client_from("127.0.0.2:0", server.address).await;
    neighbour.send(GET_AND_CLOSE).await;
    assert_eq!(status(&neighbour.rest().await), Some(200));
}

#[tokio::test]
async fn upgraded_connection_keeps_its_place_until_it_is_dropped() {
    let (router, mut streams) = upgrading();
    let limits = Limits {
        connections_per_peer_max: 1,
        ..Limits::default()
    };
    let server = RouterServer::start(router, limits).await;
    let mut first = server.client().await;
    first.send(UPGRADE).await;
    let (_stream, slot) = streams.recv().await.unwrap();
    assert_eq!(server.client().await.rest().await, "");
    drop(slot);
    let mut second = server.client().await;
    second.send(UPGRADE).await;
    assert_eq!(status(&second.answer().await), Some(101));
}

#[tokio::test]
async fn connections_beyond_all_wait_for_a_place() {
    let router = Router::new().route("/", get(|| async { "hello" }));
    let limits = Limits {
        connections_max: 1,
        ..Limits::default()
    };
    let server = RouterServer::start(router, limits).await;
    let mut first = server.client().await;
    first.send(GET).await;
    assert_eq!(status(&first.answer().await), Some(200));
    let mut second = server.client().await;
    second.send(GET_AND_CLOSE).await;
    // The first is still served while the second waits.
    first.send(GET).await;
    assert_eq!(status(&first.answer().await), Some(200));
    assert!(second.0.try_read(&mut [0]).is_err(), "nothing yet");
    drop(first);
    assert_eq!(status(&second.rest().await), Some(200));
}
