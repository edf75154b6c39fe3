//! Midnight for pollers and for open connections.

use serde_json::{Value, json};
use tallycast::{domain::ProfileChange, feed::Clock};
use tokio::time::timeout;

use crate::support::{
    SOON,
    api_server::{Answer, ApiServer, answer, event},
    feed_client::FeedClient,
    feed_hub::{account, settings},
    host::Host,
};

/// A minute before the end of a month in UTC, and the end.
const LATE: &str = "2026-10-31T23:59:00Z";
const MIDNIGHT: &str = "2026-11-01T00:00:00Z";

async fn poll(server: &ApiServer, tag: &str) -> Answer {
    answer(server.get("/v1/feeds/alice").header("if-none-match", tag)).await
}

fn day(message: &Value) -> (&Value, &Value) {
    let day = &message["totals"][0]["day"];
    (&day["start"], &day["amount"])
}

#[tokio::test]
async fn a_snapshot_is_another_after_midnight() {
    let (server, hand) = ApiServer::at(LATE).await;
    server.record(&event("1", "alice")).await;
    let before = answer(server.get("/v1/feeds/alice")).await;
    let tag = before.header("etag").unwrap();
    assert_eq!(day(&before.body), (&json!("2026-10-31"), &json!("1.50")));
    hand.set("2026-10-31T23:59:59.999Z".parse().unwrap());
    assert_eq!(poll(&server, tag).await.status, 304);

    hand.set(MIDNIGHT.parse().unwrap());
    let after = poll(&server, tag).await;
    assert_eq!(after.status, 200);
    assert_eq!(day(&after.body), (&json!("2026-11-01"), &json!("0")));
    assert_eq!(after.body["totals"][0]["month"]["amount"], "0");
    assert_eq!(after.body["totals"][0]["all"]["amount"], "1.50");
    assert_eq!(
        poll(&server, after.header("etag").unwrap()).await.status,
        304
    );
    assert_eq!(poll(&server, tag).await.status, 200);
}

#[tokio::test]
async fn a_poll_from_yesterday_gets_one_rollover() {
    let (server, hand) = ApiServer::at(LATE).await;
    server.record(&event("1", "alice")).await;
    let snapshot = answer(server.get("/v1/feeds/alice")).await;
    let from = |position: &Value| {
        let position = position.as_str().unwrap();
        answer(server.get(&format!("/v1/feeds/alice?after={position}")))
    };
    assert_eq!(from(&snapshot.body["position"]).await.status, 204);
    hand.set(MIDNIGHT.parse().unwrap());
    let rollover = from(&snapshot.body["position"]).await;
    assert_eq!(rollover.body["type"], "rollover");
    assert_eq!(day(&rollover.body), (&json!("2026-11-01"), &json!("0")));
    assert_eq!(from(&rollover.body["position"]).await.status, 204);

    // A client that lacks an entry learns of the new day with the entry.
    server.record(&event("2", "alice")).await;
    let update = from(&snapshot.body["position"]).await;
    assert_eq!(update.body["type"], "update");
    assert_eq!(day(&update.body), (&json!("2026-11-01"), &json!("1.50")));
    assert_eq!(from(&update.body["position"]).await.status, 204);
}

#[tokio::test]
async fn a_long_poll_is_answered_by_midnight() {
    let (server, hand) = ApiServer::at(LATE).await;
    server.record(&event("1", "alice")).await;
    let snapshot = answer(server.get("/v1/feeds/alice")).await;
    let position = snapshot.body["position"].as_str().unwrap();
    let poll = server.get(&format!("/v1/feeds/alice?after={position}&wait=55"));
    let poll = tokio::spawn(answer(poll));
    // It waits by now, and other events do not wake it.
    server.record(&event("other", "bob")).await;
    hand.set(MIDNIGHT.parse().unwrap());
    let rollover = timeout(SOON, poll).await.unwrap().unwrap();
    assert_eq!(rollover.status, 200);
    assert_eq!(rollover.body["type"], "rollover");
    let position = rollover.body["position"].as_str().unwrap();
    assert_eq!(
        rollover.header("etag"),
        Some(format!("\"{position}\"").as_str())
    );
    assert_eq!(rollover.body["offset"], 1);
}

#[tokio::test]
async fn a_clock_that_is_set_back_opens_no_day_twice() {
    let (server, hand) = ApiServer::at(MIDNIGHT).await;
    server.record(&event("1", "alice")).await;
    let snapshot = answer(server.get("/v1/feeds/alice")).await;
    hand.set(LATE.parse().unwrap());
    let tag = snapshot.header("etag").unwrap();
    assert_eq!(poll(&server, tag).await.status, 304);
    server.record(&event("2", "alice")).await;
    let after = poll(&server, tag).await;
    assert_eq!(day(&after.body), (&json!("2026-11-01"), &json!("3.00")));
}

/// Follows this account until it is live.
async fn live(host: &Host, name: &str) -> FeedClient {
    let token = format!("{name}/{name}/3600000");
    let mut watcher = host.watch(&json!({ "token": token })).await;
    watcher.until_live().await;
    watcher
}

#[tokio::test]
async fn midnight_comes_to_open_clients_of_its_zone_alone() {
    // 23:44:59 in Kathmandu.
    let (clock, hand) = Clock::manual("2026-10-31T17:59:59Z".parse().unwrap());
    let host = Host::start(settings().clock(clock).build().await.unwrap()).await;
    let change = ProfileChange {
        time_zone: Some("Asia/Kathmandu".to_owned()),
        ..ProfileChange::default()
    };
    let edited = host.hub.feed().set_profile(&account("alice"), change).await;
    edited.unwrap();
    host.record("alice", 1..=1).await;
    host.record("bob", 1..=1).await;
    let mut clients = [live(&host, "alice").await, live(&host, "alice").await];
    let mut bob = live(&host, "bob").await;

    hand.set("2026-10-31T18:15:00Z".parse().unwrap());
    for client in &mut clients {
        let rollover = client.expect("rollover").await;
        assert_eq!(day(&rollover), (&json!("2026-11-01"), &json!("0")));
        assert_eq!(rollover["offset"], 1);
    }
    host.record("bob", 2..=2).await;
    assert_eq!(
        day(&bob.expect("update").await),
        (&json!("2026-10-31"), &json!("3.00"))
    );

    hand.set(MIDNIGHT.parse().unwrap());
    assert_eq!(day(&bob.expect("rollover").await).0, "2026-11-01");
    host.record("alice", 2..=2).await;
    for client in &mut clients {
        let update = client.expect("update").await;
        assert_eq!(day(&update), (&json!("2026-11-01"), &json!("1.50")));
    }
}

#[tokio::test]
async fn a_client_that_moves_meets_the_midnight_of_its_new_zone() {
    let (clock, hand) = Clock::manual("2026-10-31T17:59:59Z".parse().unwrap());
    let host = Host::start(settings().clock(clock).build().await.unwrap()).await;
    let mut alice = live(&host, "alice").await;
    let change = ProfileChange {
        time_zone: Some("Asia/Kathmandu".to_owned()),
        ..ProfileChange::default()
    };
    let edited = host.hub.feed().set_profile(&account("alice"), change).await;
    edited.unwrap();
    assert_eq!(
        alice.expect("snapshot").await["time_zone"],
        "Asia/Kathmandu"
    );
    hand.set("2026-10-31T18:15:00Z".parse().unwrap());
    alice.expect("rollover").await;
}
