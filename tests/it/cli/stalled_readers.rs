//! The memory cost of a hundred clients that stop reading, at the default limits.

use std::{fmt::Write, fs, time::Duration};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{sleep, timeout},
};

use crate::support::binary::{ServedBinary, Workdir};

const READERS: usize = 100;
/// The bound for each: 256 KiB for the largest message, which each client holds for itself,
/// and as much again for buffers and memory not yet returned.
const KIB_MAX: u64 = 2 * 256;
/// How long they may stay.
const CLOSED_MAX: Duration = Duration::from_secs(30);

/// The process's resident memory, in KiB.
fn resident_kib(served: &ServedBinary) -> u64 {
    let id = served.process.id().unwrap();
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}

fn descriptors(served: &ServedBinary) -> usize {
    let id = served.process.id().unwrap();
    fs::read_dir(format!("/proc/{id}/fd")).unwrap().count()
}

/// Records long entries in the most categories and in ten meters: a snapshot of about the largest size.
async fn fill(served: &ServedBinary, token: &str) {
    for meter in 0..10 {
        let events = (0..64).map(|category| {
            json!({
                "id": format!("{meter}-{category}"), "account": "alice", "amount": "1", "unit": "CNY",
                "meter": format!("m{meter}"), "description": "电".repeat(500),
                "category": format!("{category:-<64}").replace('-', "电"),
            })
        });
        let sent = reqwest::Client::new()
            .post(format!("{}/v1/events", served.public))
            .bearer_auth(token)
            .json(&events.collect::<Vec<_>>());
        assert_eq!(sent.send().await.unwrap().status(), 200);
    }
}

/// A client that follows, and reads only the status.
async fn stalled(served: &ServedBinary, route: &str, token: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    let mut tcp = socket
        .connect(served.address().parse().unwrap())
        .await
        .unwrap();
    let mut request = format!("GET /v1/feeds/alice/{route}recent=100 HTTP/1.1\r\nHost: x\r\n");
    write!(request, "Authorization: Bearer {token}\r\n").unwrap();
    if route.starts_with("ws") {
        request += "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    }
    request += "\r\n";
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut status = [0; 10];
    tcp.read_exact(&mut status).await.unwrap();
    assert!([b'1', b'2'].contains(&status[9]), "{status:?}");
    tcp
}

/// The cost of each of a hundred, in KiB, after a hundred others: one-time allocations are made by then.
async fn cost(route: &str) -> u64 {
    let workdir = Workdir::new();
    let served = workdir.serve(&["--ledger", "memory"]).await;
    let token = workdir.token(&["--scope", "watch record"]).await;
    fill(&served, &token).await;
    let base = descriptors(&served);
    let mut readers = Vec::new();
    let mut resident = [0; 2];
    for resident in &mut resident {
        for _ in 0..READERS {
            readers.push(stalled(&served, route, &token).await);
        }
        // Memory used to build the messages is returned after a while.
        sleep(Duration::from_secs(1)).await;
        *resident = resident_kib(&served);
    }
    let closed = async {
        // A producer's connection may be kept alive or not.
        while descriptors(&served) > base + 1 {
            sleep(Duration::from_millis(50)).await;
        }
    };
    let in_time = timeout(CLOSED_MAX, closed).await;
    in_time.unwrap_or_else(|_| panic!("{route}: {} descriptors", descriptors(&served)));
    resident[1].saturating_sub(resident[0]) / READERS as u64
}

#[tokio::test]
async fn a_reader_that_stops_costs_a_message_and_not_for_long() {
    let routes = ["ws?", "sse?", "stream?", "iframe?callback=f&"];
    let costs = routes.map(|route| async move {
        let kib = cost(route).await;
        println!("{route} {kib} KiB per stalled reader");
        assert!(kib <= KIB_MAX, "{route}: {kib} KiB");
    });
    futures_util::future::join_all(costs).await;
}
