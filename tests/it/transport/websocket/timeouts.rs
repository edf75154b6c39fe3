//! WebSocket clients that fall silent or stop reading: they are noticed in time, and no task is left.

use std::time::{Duration, Instant};

use tokio::{io::AsyncWriteExt, time::timeout};

use crate::support::{
    SOON,
    feed_hub::{ALICE, settings},
    host::Host,
    raw_websocket::{FIN, PING, PONG, RawWebSocket, cut, masked, text},
};

const PATH: &str = "/v1/feeds/alice/ws";

const INTERVAL: Duration = Duration::from_millis(300);

const TIMEOUT: Duration = Duration::from_millis(200);

/// The margin on top of both.
const MARGIN: Duration = Duration::from_secs(5);

const STALL: Duration = Duration::from_millis(400);

async fn pinging(timeout: Duration) -> Host {
    let hub = settings().heartbeat(INTERVAL, timeout).build().await;
    Host::start(hub.unwrap()).await
}

#[tokio::test]
async fn who_answers_no_ping_is_gone_in_time() {
    let host = pinging(TIMEOUT).await;
    let mut silent = RawWebSocket::live(host.address).await;
    let mut halting = RawWebSocket::live(host.address).await;
    // Bytes of an incomplete frame do not count as activity.
    let frame = text("{}");
    let drips = async {
        for byte in &frame[..frame.len() - 1] {
            halting.send([*byte]).await;
            tokio::time::sleep(INTERVAL / 3).await;
        }
    };
    let start = Instant::now();
    let ping = silent.frame().await.unwrap();
    assert_eq!((ping.opcode, ping.payload), (PING, Vec::new()));
    let (gone, ()) = tokio::join!(silent.frame(), drips);
    assert_eq!(gone, None);
    assert!(start.elapsed() >= INTERVAL + TIMEOUT - Duration::from_millis(50));
    assert_eq!(halting.closed().await, None);
    assert!(start.elapsed() < INTERVAL + TIMEOUT + MARGIN);
    host.until_no_task().await;
}

#[tokio::test]
async fn whoever_sends_something_stays() {
    let host = pinging(SOON).await;
    let mut answering = RawWebSocket::live(host.address).await;
    for _ in 0..4 {
        assert_eq!(answering.frame().await.unwrap().opcode, PING);
        answering.send(masked(FIN | PONG, b"")).await;
    }
    // Any whole frame counts.
    for frame in [masked(FIN | PING, b"?"), text("{}")] {
        while answering.frame().await.unwrap().opcode != PING {}
        answering.send(frame).await;
    }
    while answering.frame().await.unwrap().opcode != PING {}
}

#[tokio::test]
async fn a_websocket_that_is_not_read_is_cut() {
    let hub = settings().write_stall(STALL).build().await.unwrap();
    let host = Host::start(hub).await;
    let stalled = RawWebSocket::open_narrow(host.address, PATH, ALICE).await;
    let mut healthy = RawWebSocket::live(host.address).await;
    let start = Instant::now();
    tokio::join!(host.record_much(), async {
        while healthy.message().await["to"] != 200 {}
    });
    // At once, not when the kernel gives up on the bytes it still holds.
    cut(&stalled.tcp).await;
    assert!(start.elapsed() >= STALL);
    drop(healthy);
    host.until_no_task().await;
}

#[tokio::test]
async fn a_blocked_write_ends_with_its_token() {
    let hub = settings()
        .write_stall(Duration::from_secs(60))
        .build()
        .await;
    let host = Host::start(hub.unwrap()).await;
    let stalled = RawWebSocket::open_narrow(host.address, PATH, "alice/alice/1500").await;
    host.record_much().await;
    timeout(SOON, cut(&stalled.tcp))
        .await
        .expect("cut with its token");
    host.until_no_task().await;
}

/// Answers need memory like messages: the server stops reading from a client that does not read them.
#[tokio::test]
async fn whoever_asks_and_does_not_read_is_not_read_from() {
    const STALL: Duration = Duration::from_secs(2);
    let hub = settings().write_stall(STALL).build().await.unwrap();
    let host = Host::start(hub).await;
    let mut flooding = RawWebSocket::open_narrow(host.address, PATH, ALICE).await;
    let asks = text(r#"{"type":"ping","id":"an answer is longer"}"#).repeat(500);
    let (mut taken, mut last_taken) = (0, Instant::now());
    let flood = async {
        while let Ok(count) = flooding.tcp.write(&asks[taken % asks.len()..]).await {
            taken += count;
            last_taken = Instant::now();
        }
    };
    timeout(SOON, flood).await.expect("cut");
    // Once the kernel's buffers were full, no more was accepted until the cut.
    let quiet = last_taken.elapsed();
    assert!(
        quiet >= STALL / 2,
        "requests were taken until {quiet:?} before"
    );
    host.until_no_task().await;
}
