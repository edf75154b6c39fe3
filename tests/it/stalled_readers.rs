//! Clients that fall silent or stop reading: noticed in time, and let go for good.

use std::{
    future::IntoFuture,
    time::{Duration, Instant},
};

use tallycast::{Hub, Limits, serve};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::{
    engine::{Host, SOON},
    raw_websocket::{FIN, PING, PONG, RawWebSocket, cut, masked, text},
    streams::narrow,
    watching::{ALICE, settings},
};

const PATH: &str = "/v1/feeds/alice/ws";
const INTERVAL: Duration = Duration::from_millis(300);
const TIMEOUT: Duration = Duration::from_millis(200);
/// What the scorecard adds to both.
const MARGIN: Duration = Duration::from_secs(5);
const STALL: Duration = Duration::from_millis(400);

async fn pinging(timeout: Duration) -> Host {
    let hub = settings().heartbeat(INTERVAL, timeout).build().await;
    Host::start(hub.unwrap()).await
}

/// No task is left: a drain has nobody to wait for.
pub(crate) async fn let_go(hub: &Hub) {
    let drain = hub.drain(Duration::from_secs(60));
    timeout(SOON, drain).await.expect("no task is left");
}

#[tokio::test]
async fn who_answers_no_ping_is_gone_in_time() {
    let host = pinging(TIMEOUT).await;
    let mut silent = RawWebSocket::live(host.address).await;
    let mut halting = RawWebSocket::live(host.address).await;
    // Bytes of a frame that does not come are no sign of life.
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
    let_go(&host.hub).await;
}

#[tokio::test]
async fn whoever_sends_something_stays() {
    let host = pinging(SOON).await;
    let mut answering = RawWebSocket::live(host.address).await;
    for _ in 0..4 {
        assert_eq!(answering.frame().await.unwrap().opcode, PING);
        answering.send(masked(FIN | PONG, b"")).await;
    }
    // Any whole frame does.
    for frame in [masked(FIN | PING, b"?"), text("{}")] {
        while answering.frame().await.unwrap().opcode != PING {}
        answering.send(frame).await;
    }
    while answering.frame().await.unwrap().opcode != PING {}
}

/// More than the buffers of a narrow connection hold.
async fn fill(host: &Host) {
    for id in 1..=200 {
        host.record_described("alice", id, &"电".repeat(500)).await;
    }
}

#[tokio::test]
async fn a_websocket_that_is_not_read_is_cut() {
    let hub = settings().write_stall(STALL).build().await.unwrap();
    let host = Host::start(hub).await;
    let stalled = RawWebSocket::open_narrow(host.address, PATH, ALICE).await;
    let mut healthy = RawWebSocket::live(host.address).await;
    let start = Instant::now();
    tokio::join!(fill(&host), async {
        while healthy.message().await["to"] != 200 {}
    });
    // At once: not when the kernel has given up on what it still holds.
    cut(&stalled.tcp).await;
    assert!(start.elapsed() >= STALL);
    drop(healthy);
    let_go(&host.hub).await;
}

#[tokio::test]
async fn a_blocked_write_ends_with_its_token() {
    let hub = settings()
        .write_stall(Duration::from_secs(60))
        .build()
        .await;
    let host = Host::start(hub.unwrap()).await;
    let stalled = RawWebSocket::open_narrow(host.address, PATH, "alice/alice/1500").await;
    fill(&host).await;
    timeout(SOON, cut(&stalled.tcp))
        .await
        .expect("cut with its token");
    let_go(&host.hub).await;
}

/// Pongs are as much to hold as messages: nothing is read from whoever does not take them.
#[tokio::test]
async fn whoever_pings_and_does_not_read_is_not_read_from() {
    const STALL: Duration = Duration::from_secs(2);
    let hub = settings().write_stall(STALL).build().await.unwrap();
    let host = Host::start(hub).await;
    let mut flooding = RawWebSocket::open_narrow(host.address, PATH, ALICE).await;
    let pings = masked(FIN | PING, &[b'x'; 125]).repeat(500);
    let mut last_taken = Instant::now();
    let flood = async {
        while flooding.tcp.write(&pings).await.is_ok() {
            last_taken = Instant::now();
        }
    };
    timeout(SOON, flood).await.expect("cut");
    // Once the kernel held what it holds, nothing more went until the cut.
    let quiet = last_taken.elapsed();
    assert!(
        quiet >= STALL / 2,
        "pings were taken until {quiet:?} before"
    );
    let_go(&host.hub).await;
}

#[tokio::test]
async fn a_stream_that_is_not_read_is_cut() {
    let hub = settings().write_stall(STALL).build().await.unwrap();
    // An iframe's page is written by HTTP.
    let limits = Limits {
        write_stall_timeout: STALL,
        ..Limits::default()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(serve(listener, hub.router(), limits).into_future());
    let host = Host::start(hub).await;
    let mut stalled = Vec::new();
    for path in ["sse", "stream", "iframe?callback=f"] {
        let mut tcp = narrow(address).await;
        let request = format!(
            "GET /v1/feeds/alice/{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ALICE}\r\n\r\n"
        );
        tcp.write_all(request.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        tokio::io::AsyncReadExt::read_exact(&mut tcp, &mut status)
            .await
            .unwrap();
        assert_eq!(status, *b"HTTP/1.1 200");
        stalled.push((path, tcp));
    }
    fill(&host).await;
    for (path, tcp) in &stalled {
        let tcp: &TcpStream = tcp;
        assert!(timeout(SOON, cut(tcp)).await.is_ok(), "{path}");
    }
    serving.abort();
}
