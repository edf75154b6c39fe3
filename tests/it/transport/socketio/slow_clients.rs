//! Clients that read slowly or not at all: they lose nothing or are closed, and cost the others nothing.

use std::time::Duration;

use serde_json::{Value, json};
use tallycast::domain::Revocation;
use tokio::{io::AsyncWriteExt, net::TcpStream, time::Instant};

use crate::support::{
    engineio_client::SEPARATOR,
    feed_hub::{ALICE, account, described, host, settings},
    host::Host,
    raw_http::connect_narrow,
    raw_websocket::{KEY, ask, text},
};

/// A long description, so that a few hundred events fill every buffer on the way.
fn long() -> String {
    "x".repeat(500)
}

/// A client that reads nothing, on a socket with a small receive buffer.
pub(super) async fn connect_without_reading(host: &Host, token: &str) -> TcpStream {
    let mut tcp = connect_narrow(host.address).await;
    let upgrade = format!(
        "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n\
         Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n{KEY}\r\n"
    );
    ask(&mut tcp, &upgrade).await;
    let connect = text(&format!(r#"40/feed,{{"token":"{token}"}}"#));
    tcp.write_all(&connect).await.unwrap();
    tcp
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stops_reading_is_closed_and_costs_the_others_nothing() {
    let hub = settings()
        .write_stall(Duration::from_secs(1))
        .build()
        .await
        .unwrap();
    let host = Host::start(hub).await;
    let not_reading = connect_without_reading(&host, ALICE).await;
    let mut healthy = host.watch(&json!({ "token": ALICE })).await;
    healthy.until_live().await;
    assert_eq!(host.hub.sessions(), 2);
    let (mut slowest, mut offset, mut closed_after) = (Duration::ZERO, 0, None);
    let start = Instant::now();
    while closed_after.is_none() {
        offset += 1;
        let recorded = Instant::now();
        host.record_described("alice", offset, &long()).await;
        assert_eq!(healthy.expect("update").await["to"], offset);
        slowest = slowest.max(recorded.elapsed());
        if host.hub.sessions() == 1 {
            closed_after = Some(start.elapsed());
        }
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "still there after {offset} updates"
        );
    }
    println!("closed after {closed_after:?} and {offset} updates; slowest push {slowest:?}");
    assert!(slowest < Duration::from_millis(900), "{slowest:?}");
    drop(not_reading);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_loses_nothing() {
    const EVENTS: u64 = 3_000;
    let host = host().await;
    let mut slow = host.watch(&json!({ "token": ALICE })).await;
    slow.until_live().await;
    for id in 1..=EVENTS {
        host.record_described("alice", id, &long()).await;
    }
    let mut offset = 0;
    while offset < EVENTS {
        let update = slow.expect("update").await;
        assert_eq!(update["from"], offset + 1);
        offset = update["to"].as_u64().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_polling_client_that_is_slow_loses_nothing() {
    const EVENTS: u64 = 1_000;
    let host = host().await;
    let session = host.poll().await;
    session
        .send(&format!(r#"40/feed,{{"token":"{ALICE}"}}"#))
        .await;
    for id in 1..=EVENTS {
        host.record_described("alice", id, &long()).await;
    }
    let mut offset = 0;
    while offset < EVENTS {
        let body = session.receive().await;
        for packet in body
            .split(SEPARATOR)
            .filter(|packet| packet.starts_with("42/feed,"))
        {
            let (name, payload) = crate::support::feed_client::read_event(packet);
            match name.as_str() {
                "snapshot" => offset = payload["offset"].as_u64().unwrap(),
                "update" => {
                    assert_eq!(payload["from"], offset + 1);
                    offset = payload["to"].as_u64().unwrap();
                }
                _ => {}
            }
        }
    }
}

/// In totals mode, the newest totals arrive however slow the client is.
#[tokio::test]
async fn a_slow_totals_reader_gets_the_newest_totals() {
    let host = host().await;
    let session = host.poll().await;
    let auth = json!({ "token": ALICE, "mode": "totals" });
    session.send(&format!("40/feed,{auth}")).await;
    for id in 1..=500 {
        host.record_described("alice", id, &long()).await;
    }
    let newest = host
        .hub
        .feed()
        .snapshot(&account("alice"), 0)
        .await
        .unwrap();
    let newest: Value = serde_json::from_str(newest.json().get()).unwrap();
    let (mut last, mut messages) = (Value::Null, 0);
    while last["offset"] != 500 && last["to"] != 500 {
        let body = session.receive().await;
        for packet in body
            .split(SEPARATOR)
            .filter(|packet| packet.starts_with("42/feed,"))
        {
            last = crate::support::feed_client::read_event(packet).1;
            messages += 1;
        }
    }
    assert_eq!(last["totals"], newest["totals"]);
    assert!(messages < 100, "{messages} messages were not conflated");
}

#[tokio::test]
async fn a_token_that_expires_ends_a_client_that_reads_nothing() {
    let host = host().await;
    let _not_reading = connect_without_reading(&host, "alice/alice/1000").await;
    host.until_sessions(1).await;
    let start = Instant::now();
    // Fills every buffer on the way, so that neither a message nor a close frame gets through.
    let mut id = 0;
    while host.hub.sessions() == 1 {
        id += 1;
        host.record_described("alice", id, &long()).await;
        assert!(
            start.elapsed() < Duration::from_secs(6),
            "{:?}",
            start.elapsed()
        );
    }
}

#[tokio::test]
async fn a_revocation_ends_a_client_that_reads_nothing() {
    let host = host().await;
    let _not_reading = connect_without_reading(&host, "alice/alice/3600000/lost").await;
    host.until_sessions(1).await;
    // Fills every buffer on the way, so that neither a message nor a close frame gets through.
    for id in 1..=400 {
        host.record_described("alice", id, &long()).await;
    }
    let start = Instant::now();
    let revocation = Revocation::of_token("lost").unwrap();
    host.hub.revoke(revocation).await.unwrap();
    host.until_empty().await;
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn a_message_larger_than_a_polling_body_still_comes() {
    let host = host().await;
    for id in 1..=300 {
        host.record_described("alice", id, &"\u{1f600}".repeat(100))
            .await;
    }
    let session = host.poll().await;
    let auth = json!({ "token": ALICE, "recent": 100 });
    session.send(&format!("40/feed,{auth}")).await;
    let mut body = String::new();
    while !body.contains("snapshot") {
        body = session.receive().await;
    }
    let snapshot = body
        .split(SEPARATOR)
        .find(|packet| packet.contains("snapshot"))
        .unwrap();
    let (_, snapshot) = crate::support::feed_client::read_event(snapshot);
    assert_eq!(snapshot["recent"].as_array().unwrap().len(), 100);
}

/// A body has a bound, and on an upgrade the engine drops what it had stored for the next body.
#[tokio::test]
async fn what_does_not_fit_into_a_polling_body_survives_an_upgrade() {
    let host = host().await;
    let session = host.poll().await;
    session
        .send(&format!(r#"40/feed,{{"token":"{ALICE}"}}"#))
        .await;
    while !session.receive().await.contains("live") {}
    // Two updates wait together: the first leaves room in the body, both together do not fit.
    for ids in [1..=60, 61..=200] {
        let events = ids.map(|id| described("alice", id, &long()));
        host.hub.feed().append_all(events.collect()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let body = session.receive().await;
    let mut ws = session.upgrade().await.unwrap();
    ws.send("2probe").await;
    ws.send("5").await;
    assert_eq!(ws.text().await, "3probe");
    host.record("alice", 201..=201).await;
    let mut offset = body
        .split(SEPARATOR)
        .fold(0, |offset, packet| after(packet, offset));
    while offset < 201 {
        offset = after(&ws.packet().await, offset);
    }
}

/// The offset after a packet, which must continue the previous one.
fn after(packet: &str, offset: u64) -> u64 {
    if !packet.starts_with("42/feed,") {
        return offset;
    }
    let (name, payload) = crate::support::feed_client::read_event(packet);
    match name.as_str() {
        "snapshot" => payload["offset"].as_u64().unwrap(),
        "update" => {
            assert_eq!(payload["from"], offset + 1);
            payload["to"].as_u64().unwrap()
        }
        _ => offset,
    }
}
