//! R6: clients that stop reading, beside healthy ones.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    io::AsyncReadExt,
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_tungstenite::WebSocketStream;

use super::{
    Plan,
    client::{Client, Transport},
    findings::Findings,
    harness::{Harness, Load, wait_until},
    http,
    oracle::Watched,
    server::Server,
    socketio,
};

/// A client that reads nothing is closed within this.
const CLOSED_MAX: Duration = Duration::from_secs(30);
/// What a stalled client may cost.
const KIB_MAX: u64 = 256;
/// The kernel raises this to its minimum.
const RECEIVE_BYTES: u32 = 4_096;
/// Descriptors that the database and the admin listener open and close.
const SPARE: usize = 3;
const EVENTS: usize = 70;
const SETTLED_AFTER: Duration = Duration::from_secs(2);
const TAKEN_MAX: Duration = Duration::from_secs(60);
/// Healthy clients have everything this soon, whatever the stalled ones do.
const HEALTHY_MAX: Duration = Duration::from_secs(5);

pub(crate) async fn run(plan: Plan) -> Findings {
    let mut findings = Findings::default();
    let count = plan.either(50, 500);
    let mut harness = Harness::new(plan.random.clone(), 1);
    let server = Server::start(&harness.home).await;
    harness.announce(Some(&server));
    let base = server.descriptors();
    harness
        .begin_clients(&[Transport::SocketIoWebSocket], count, false)
        .await;
    // First only the healthy ones, to know their cost.
    let resident = produce(&mut harness, &server, "r6before", &mut findings).await;
    let stalled = stall(&server, &harness, count).await;
    let all = server.descriptors();
    let with_all = produce(&mut harness, &server, "r6", &mut findings).await;
    let grown = with_all.saturating_sub(resident) / count;
    findings.figure(
        "memory grown by, per stalled client",
        format!("{grown} KiB"),
    );
    findings.check(!plan.is_long || grown <= KIB_MAX, || {
        format!("{grown} KiB per stalled client")
    });
    let stopped = Instant::now();
    let clients = harness.end_clients().await;
    let took = stopped.elapsed();
    findings.figure(
        "healthy clients had everything after",
        format!("{took:.2?}"),
    );
    findings.check(took <= HEALTHY_MAX, || {
        format!("healthy clients waited {took:.2?}")
    });
    // The healthy ones are gone by now, so only the stalled ones are over the base.
    let left = async || server.descriptors().saturating_sub(base) <= SPARE;
    match wait_until(CLOSED_MAX, left).await {
        Some(after) => findings.figure(
            "stalled clients closed after",
            format!("{:.1?}", took + after),
        ),
        None => findings.fault("descriptors are still open after 30 s"),
    }
    let end = server.descriptors();
    findings.figure(
        "descriptors: base, with all, at the end",
        format!("{base}, {all}, {end}"),
    );
    check_closed(stalled, &mut findings).await;
    let metrics = server.metrics().await;
    let mut counts = metrics
        .lines()
        .filter(|line| line.contains(r#"code="slow""#));
    let slow = counts.next().and_then(|line| line.rsplit(' ').next());
    findings.figure("closed as slow, by the server's count", slow.unwrap_or("0"));
    findings.check(slow == Some(&count.to_string()), || {
        format!("{count} were slow, the server counted {slow:?}")
    });
    server.stop(&mut findings).await;
    harness.compare(&clients, &mut findings);
    findings
}

/// A quarter of a megabyte for each client, more than buffers hold; the memory in use then, in KiB.
async fn produce(
    harness: &mut Harness,
    server: &Server,
    name: &str,
    findings: &mut Findings,
) -> u64 {
    let load = Load {
        producers: 1,
        batch: 10,
        pause: Duration::from_millis(20),
        padding: 3_800,
    };
    let enough = harness.oracle.acknowledged() + EVENTS;
    harness.begin_producers(name, load);
    let taken = async || harness.oracle.acknowledged() > enough;
    let taken = wait_until(TAKEN_MAX, taken).await;
    findings.check(taken.is_some(), || "events were not taken".to_owned());
    harness.end_producers(findings).await;
    // Memory for messages in flight to healthy clients is freed soon.
    let mut least = u64::MAX;
    let settled = async || {
        least = least.min(server.resident_kib());
        false
    };
    wait_until(SETTLED_AFTER, settled).await;
    least
}

/// Clients that connect, subscribe and then read nothing.
async fn stall(server: &Server, harness: &Harness, count: u64) -> Vec<WebSocketStream<TcpStream>> {
    let mut stalled = Vec::new();
    for number in 0..count {
        stalled.push(stalled_client(server.public, harness, &harness.accounts[0], number).await);
    }
    sleep(Duration::from_millis(100)).await;
    stalled
}

async fn stalled_client(
    server: SocketAddr,
    harness: &Harness,
    account: &Watched,
    number: u64,
) -> WebSocketStream<TcpStream> {
    let place = harness.for_clients.subscribe();
    let transport = Transport::SocketIoWebSocket;
    let client = Client::new(transport, account, 10_000 + number, place, harness.goal());
    let stream = http::connect_with(server, client.from, Some(RECEIVE_BYTES))
        .await
        .unwrap();
    let mut socket = socketio::open(stream, server, "").await.unwrap();
    socketio::send(&mut socket, client.connect_packet())
        .await
        .unwrap();
    socket
}

/// What a stalled client reads when it resumes: the bytes in flight, then the end.
async fn check_closed(stalled: Vec<WebSocketStream<TcpStream>>, findings: &mut Findings) {
    let mut open = 0;
    for socket in stalled {
        let mut stream = socket.into_inner();
        let mut rest = Vec::new();
        let ended = timeout(Duration::from_millis(500), stream.read_to_end(&mut rest)).await;
        open += u64::from(ended.is_err());
    }
    findings.figure("stalled clients still connected", open);
    findings.check(open == 0, || {
        format!("{open} stalled clients were not closed")
    });
}
