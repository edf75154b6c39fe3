//! What each third-party client of the routes under `/v1/feeds` sees.

use serde_json::Value;

use crate::{
    facts::{assert_shows_the_ledger, follow},
    follower::Follower,
    screen::Screen,
    server::Server,
    stock::StockClient,
    tcp_proxy::TcpProxy,
};

pub(crate) async fn connects_and_gets_the_snapshot_then_live(follower: Follower) {
    let mut server = Server::start().await;
    server.record(3).await;
    let mut client = follower.alice(&server).await;
    connected(follower, &mut client).await;
    gets_the_snapshot_then_live(follower, &mut client, &server).await;
}

async fn gets_the_snapshot_then_live(
    follower: Follower,
    client: &mut StockClient,
    server: &Server,
) {
    let snapshot = client.expect("snapshot").await;
    assert_eq!(snapshot["account"], "alice");
    assert_eq!(snapshot["reason"], "initial");
    assert_eq!(snapshot["offset"], 3);
    assert_eq!(snapshot["totals"], server.snapshot().await["totals"]);
    if follower.stays_open() {
        let live = client.expect("live").await;
        assert_eq!(live["position"], snapshot["position"]);
    }
}

pub(crate) async fn follows_100_updates_in_order(follower: Follower) {
    let mut server = Server::start().await;
    let mut client = follower.alice(&server).await;
    let mut screen = Screen::default();
    follow(&mut client, &mut screen, 0).await;
    for _ in 0..100 {
        server.record(1).await;
    }
    follow(&mut client, &mut screen, 100).await;
    assert_shows_the_ledger(&screen, &server).await;
}

pub(crate) async fn resumes_after_a_cut(follower: Follower) {
    let mut server = Server::start().await;
    let proxy = TcpProxy::to(&server.url).await;
    let mut client = follower.alice_by(&proxy.url, &server).await;
    let mut screen = Screen::default();
    server.record(3).await;
    follow(&mut client, &mut screen, 3).await;
    for seen in [3, 8] {
        proxy.cut();
        client.await_kind("disconnect").await;
        server.record(5).await;
        proxy.restore();
        let update = next_but_live(&mut client).await;
        assert_eq!(update["from"], seen + 1);
        screen.apply(&update);
        follow(&mut client, &mut screen, seen + 5).await;
    }
    assert_eq!(screen.snapshots, 1);
    assert_shows_the_ledger(&screen, &server).await;
}

pub(crate) async fn survives_a_killed_server(follower: Follower) {
    let mut server = Server::start().await;
    let mut client = follower.alice(&server).await;
    let mut screen = Screen::default();
    server.record(20).await;
    follow(&mut client, &mut screen, 20).await;

    server.kill().await;
    client.await_kind("disconnect").await;
    server.restart().await;
    server.record(5).await;
    follow(&mut client, &mut screen, 25).await;
    server.record(1).await;
    follow(&mut client, &mut screen, 26).await;
    assert_eq!(screen.snapshots, 1, "a restart needs no new snapshot");
    assert_shows_the_ledger(&screen, &server).await;
}

pub(crate) async fn is_refused_without_a_token(follower: Follower) {
    let server = Server::start().await;
    for pass in [None, Some("nonsense")] {
        let mut client = follower.start(&server.url, pass, None);
        let refusal = client.await_kind("connect_error").await;
        assert_eq!(refusal["status"], 401);
    }
}

pub(crate) async fn does_not_find_another_account(follower: Follower) {
    let mut server = Server::start().await;
    server.record(1).await;
    let pass = follower.pass(&server, "bob").await;
    let mut client = follower.start(&server.url, Some(&pass), None);
    let refusal = client.await_kind("connect_error").await;
    assert_eq!(refusal["status"], 404);
}

pub(crate) async fn follows_over_tls(follower: Follower) {
    let mut server = Server::start_with_tls().await;
    assert!(server.url.starts_with("https://"));
    server.record(3).await;
    let mut client = follower.alice(&server).await;
    connected(follower, &mut client).await;
    gets_the_snapshot_then_live(follower, &mut client, &server).await;
    server.record(1).await;
    let update = client.expect("update").await;
    assert_eq!(update["to"], 4);
}

/// A WebSocket offers our subprotocol.
async fn connected(follower: Follower, client: &mut StockClient) {
    let line = client.await_kind("connect").await;
    if follower.is_websocket() {
        assert_eq!(line["protocol"], "tallycast.v1");
    }
}

/// The next message of the feed, past a `live` of a connection that was cut again.
async fn next_but_live(client: &mut StockClient) -> Value {
    loop {
        let mut line = client.await_kind("event").await;
        if line["event"] != "live" {
            return line["data"].take();
        }
    }
}
