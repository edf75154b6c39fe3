//! The hub inside a host's own router.

use axum::{Router, routing::get};
use reqwest::StatusCode;
use serde_json::json;
use socketioxide::extract::SocketRef;

use crate::support::{
    feed_hub::{ALICE, settings},
    host::Host,
};

fn hosts_own() -> Router {
    Router::new()
        .route("/", get(async || "the shop"))
        .fallback(async || (StatusCode::NOT_FOUND, "no such page in the shop"))
}

#[tokio::test]
async fn a_hub_merges_into_a_router_that_has_a_fallback() {
    let hub = settings().build().await.unwrap();
    let router = hosts_own().merge(hub.router());
    let host = Host::embed(hub, router, "").await;
    follow_over_both(&host).await;
    let elsewhere = reqwest::get(format!("http://{}/nowhere", host.address))
        .await
        .unwrap();
    assert_eq!(elsewhere.text().await.unwrap(), "no such page in the shop");
}

#[tokio::test]
async fn a_hub_nests_under_a_prefix() {
    let hub = settings().build().await.unwrap();
    let router = hosts_own().nest("/live", hub.router());
    let host = Host::embed(hub, router, "/live").await;
    follow_over_both(&host).await;
    let root = format!("http://{}/socket.io/?EIO=4&transport=polling", host.address);
    assert_eq!(
        reqwest::get(root).await.unwrap().status(),
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn the_path_works_without_its_last_slash() {
    let host = Host::start(settings().build().await.unwrap()).await;
    let url = format!("http://{}/socket.io?EIO=4&transport=polling", host.address);
    assert_eq!(reqwest::get(url).await.unwrap().status(), StatusCode::OK);
    let below = format!(
        "http://{}/socket.io/x?EIO=4&transport=polling",
        host.address
    );
    assert_eq!(
        reqwest::get(below).await.unwrap().status(),
        StatusCode::NOT_FOUND
    );
}

/// Both transports, and the upgrade between them.
async fn follow_over_both(host: &Host) {
    let mut alice = host.watch(&json!({ "token": ALICE })).await;
    alice.until_live().await;
    let session = host.poll().await;
    session
        .send(&format!(r#"40/feed,{{"token":"{ALICE}"}}"#))
        .await;
    while !session.receive().await.contains("live") {}
    let mut ws = session.upgrade().await.unwrap();
    ws.send("2probe").await;
    ws.send("5").await;
    assert_eq!(ws.text().await, "3probe");
    host.record("alice", 1..=1).await;
    assert!(ws.packet().await.starts_with(r#"42/feed,["update""#));
    alice.expect("update").await;
}

#[tokio::test]
async fn the_main_namespace_accepts_and_does_nothing() {
    let host = Host::start(settings().build().await.unwrap()).await;
    let mut ws = host.ws().await;
    assert!(ws.join("40").await.starts_with("40{"));
    // As clients in C++ do: first the main namespace, then their own.
    let answer = ws.join(&format!(r#"40/feed,{{"token":"{ALICE}"}}"#)).await;
    assert!(answer.starts_with("40/feed,"), "{answer}");
    assert!(ws.packet().await.starts_with(r#"42/feed,["snapshot""#));
}

#[tokio::test]
async fn a_host_has_namespaces_beside_the_feed() {
    let hub = settings().build().await.unwrap();
    hub.socket_io().ns("/chat", async |socket: SocketRef| {
        let token = socket.req_parts().headers.get("authorization").cloned();
        let token = token.map(|token| token.to_str().unwrap().to_owned());
        socket.emit("welcome", &token).unwrap();
    });
    let host = Host::start(hub).await;
    let query = "EIO=4&transport=websocket&ticket=t";
    let mut ws = host.try_ws(query).await.unwrap();
    ws.text().await;
    assert!(ws.join("40/chat,").await.starts_with("40/chat,"));
    assert_eq!(ws.packet().await, r#"42/chat,["welcome","Bearer t"]"#);
}
