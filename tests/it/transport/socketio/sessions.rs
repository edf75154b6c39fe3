//! Sessions: their limit, what ends them, and that nothing of them remains.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, timeout};

use super::slow_clients::connect_without_reading;
use crate::support::{
    SOON,
    engineio_client::Ws,
    feed_hub::{ALICE, host, settings},
    host::{Host, client_from},
};

#[tokio::test]
async fn sessions_and_rooms_are_back_at_base() {
    let host = host().await;
    let mut watchers = Vec::new();
    for n in 0..50 {
        let mut watcher = host
            .watch(&json!({ "token": format!("s{n}/a{n}/60000") }))
            .await;
        watcher.until_live().await;
        watchers.push(watcher);
    }
    assert_eq!(host.hub.sessions(), 50);
    let (cut, closed) = watchers.split_at_mut(25);
    for watcher in closed {
        watcher.ws.stream.close(None).await.unwrap();
        watcher.ws.closed().await;
    }
    for watcher in cut {
        // A reset, as on a mobile network.
        if let tokio_tungstenite::MaybeTlsStream::Plain(tcp) = watcher.ws.stream.get_mut() {
            tcp.set_zero_linger().unwrap();
        }
    }
    drop(watchers);
    host.until_empty().await;
    // The engine drops a socket a moment after its session ends.
    let namespace = host.hub.socket_io().of("/feed").unwrap();
    let empty = async {
        while !namespace.clone().rooms().await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, empty)
        .await
        .expect("no room outlives its sockets");
}

#[tokio::test]
async fn a_drain_sends_closing_and_closes_every_session() {
    let host = host().await;
    host.record("alice", 1..=1).await;
    let mut watchers = Vec::new();
    for _ in 0..20 {
        let mut watcher = host.watch(&json!({ "token": ALICE })).await;
        watcher.until_live().await;
        watchers.push(watcher);
    }
    let mut silent = host.ws().await;
    silent.join("40").await;
    let session = host.poll().await;
    session
        .send(&format!(r#"40/feed,{{"token":"{ALICE}"}}"#))
        .await;
    while !session.receive().await.contains("live") {}

    let hub = host.hub.clone();
    let draining = tokio::spawn(async move { hub.drain(Duration::from_secs(4)).await });
    let body = session.receive().await;
    assert!(
        body.contains(r#"["closing",{"#) && body.contains(r#""code":"shutdown""#),
        "{body}"
    );
    for mut watcher in watchers {
        let closing = watcher.expect("closing").await;
        assert_eq!(closing["code"], "shutdown");
        assert!(closing["position"].is_string());
        assert_eq!(watcher.ws.closed().await, Some(1012));
        // Like any client, it answers the close.
        while watcher.ws.frame().await.is_some() {}
    }
    assert_eq!(silent.closed().await, Some(1012));
    drop(silent);
    timeout(SOON, draining).await.unwrap().unwrap();
    assert_eq!(host.hub.sessions(), 0);
    assert_eq!(host.get("EIO=4&transport=polling").await.status(), 503);
    assert_eq!(session.get().await.status(), 400);
}

#[tokio::test]
async fn a_drain_does_not_wait_for_clients_that_do_not_answer() {
    let host = host().await;
    let _not_reading = connect_without_reading(&host, ALICE).await;
    host.until_sessions(1).await;
    let start = Instant::now();
    host.hub.drain(Duration::from_secs(1)).await;
    assert!(
        start.elapsed() < Duration::from_secs(8),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(host.hub.sessions(), 0);
}

#[tokio::test]
async fn sessions_are_bounded() {
    let hub = settings().sessions_max(1).build().await.unwrap();
    let host = Host::start(hub).await;
    let first = host.ws().await;
    let open = host.url("EIO=4&transport=polling");
    // From another address, since each gets only a share.
    let refused = client_from("127.0.0.2").get(&open).send().await;
    assert_eq!(refused.unwrap().status(), 503);
    drop(first);
    host.until_empty().await;
    let opened = client_from("127.0.0.2").get(&open).send().await;
    assert_eq!(opened.unwrap().status(), 200);
}

#[tokio::test]
async fn a_reader_that_leaves_in_the_middle_harms_nobody() {
    let host = host().await;
    let mut ws: Vec<Ws> = Vec::new();
    for n in 0..20 {
        let mut one = host.ws().await;
        match n % 4 {
            0 => one.send(format!(r#"40/feed,{{"token":"{ALICE}"}}"#)).await,
            1 => one.send("40/feed,").await,
            2 => one.send("41/feed,").await,
            _ => one.send("4").await,
        }
        ws.push(one);
    }
    drop(ws);
    host.until_empty().await;
    host.watch(&json!({ "token": ALICE }))
        .await
        .until_live()
        .await;
}
