//! What each transport costs the server: memory per open connection, and processor time per delivered message, compared
//! with Socket.IO over WebSocket in the same run.
//!
//! `cargo bench --bench transports` runs the release binary on loopback. The clients only count the messages that they
//! receive. `BENCH_WATCHERS` sets how many follow one account at a time (default 500).
#![allow(clippy::unwrap_used, reason = "a failed benchmark stops")]

#[path = "shared/median.rs"]
mod median;
#[path = "shared/server.rs"]
mod server;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::Notify,
    task::JoinHandle,
};

use median::median;
use server::Server;

const ROUNDS: usize = 5;
const UPDATES: usize = 150;
const IDLE: usize = 2_000;
/// A masked frame needs a key; any key is valid.
const MASK: [u8; 4] = [1, 2, 3, 4];
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

#[derive(Debug, Clone, Copy, PartialEq)]
enum Transport {
    SocketIo,
    WebSocket,
    Sse,
    Stream,
    Iframe,
}

const TRANSPORTS: [Transport; 5] = [
    Transport::SocketIo,
    Transport::WebSocket,
    Transport::Sse,
    Transport::Stream,
    Transport::Iframe,
];

#[tokio::main]
async fn main() {
    let watchers = std::env::var("BENCH_WATCHERS");
    let watchers: usize = watchers.map_or(500, |text| text.parse().expect("a number"));
    let folder = tempfile::tempdir().unwrap();
    let mut cpu = vec![Vec::new(); TRANSPORTS.len()];
    let mut bytes = 0;
    let server = Server::start(folder.path());
    for round in 0..ROUNDS {
        for (index, transport) in TRANSPORTS.iter().enumerate() {
            let account = format!("a-{round}-{index}");
            let (seconds, received) = deliver(&server, *transport, &account, watchers).await;
            cpu[index].push(seconds * 1e6 / (watchers * UPDATES) as f64);
            bytes = received;
        }
    }
    drop(server);
    println!(
        "server CPU seconds per million delivered updates (about {bytes} bytes), {watchers} watchers of one account,"
    );
    println!(
        "one update at a time, its POST and commit included; medians of {ROUNDS} interleaved rounds"
    );
    let base = median(&mut cpu[0].clone());
    for (transport, seconds) in TRANSPORTS.iter().zip(&mut cpu) {
        let seconds = median(seconds);
        println!(
            "  {:<10} {seconds:>6.1}  ratio {:.2}",
            format!("{transport:?}"),
            seconds / base
        );
    }

    println!(
        "resident memory for an idle watching connection, KiB ({IDLE} of them, a fresh server each)"
    );
    for transport in TRANSPORTS {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(folder.path());
        // Memory that the first connections allocate for all of them is not counted.
        let first = follow_all(&server, transport, "warm", 50).await;
        let before = server.rss_kib();
        let clients = follow_all(&server, transport, "idle", IDLE).await;
        let grown = server.rss_kib().saturating_sub(before);
        println!(
            "  {:<10} {:>6.1}",
            format!("{transport:?}"),
            grown as f64 / IDLE as f64
        );
        drop((first, clients));
    }
}

/// The processor time of the updates, without connecting, and the bytes of one.
async fn deliver(
    server: &Server,
    transport: Transport,
    account: &str,
    watchers: usize,
) -> (f64, usize) {
    let clients = follow_all(server, transport, account, watchers).await;
    let poster = reqwest::Client::new();
    let before = clients.bytes.load(Ordering::Relaxed);
    let cpu = server.cpu_seconds();
    for number in 0..UPDATES {
        let event = json!({ "id": format!("e-{number}"), "account": account, "amount": "1.25", "unit": "CNY" });
        let posted = poster
            .post(format!("{}/v1/events", server.url))
            .bearer_auth(&server.token)
            .json(&event);
        assert_eq!(posted.send().await.unwrap().status(), 201);
        clients
            .wait_for("\"type\":\"update\"", (number + 1) * watchers)
            .await;
    }
    let seconds = server.cpu_seconds() - cpu;
    let received = clients.bytes.load(Ordering::Relaxed) - before;
    (seconds, received / watchers / UPDATES)
}

/// Connections that count the messages that they receive.
struct Clients {
    updates: Arc<AtomicUsize>,
    lives: Arc<AtomicUsize>,
    bytes: Arc<AtomicUsize>,
    counted: Arc<Notify>,
    readers: Vec<JoinHandle<()>>,
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.readers.iter().for_each(JoinHandle::abort);
    }
}

impl Clients {
    async fn wait_for(&self, what: &str, count: usize) {
        let counter = match what.contains("update") {
            true => &self.updates,
            false => &self.lives,
        };
        let started = Instant::now();
        loop {
            let counted = self.counted.notified();
            if counter.load(Ordering::Relaxed) >= count {
                return;
            }
            tokio::select! {
                () = counted => {}
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
            assert!(
                started.elapsed() < Duration::from_secs(30),
                "a message was lost"
            );
        }
    }
}

async fn follow_all(server: &Server, transport: Transport, account: &str, count: usize) -> Clients {
    let clients = Clients {
        updates: Arc::default(),
        lives: Arc::default(),
        bytes: Arc::default(),
        counted: Arc::default(),
        readers: Vec::new(),
    };
    let mut clients = clients;
    for start in (0..count).step_by(100) {
        let some = (start..count.min(start + 100)).map(|_| open(server, transport, account));
        for (read, write) in join_all(some).await {
            let counters = [
                clients.updates.clone(),
                clients.lives.clone(),
                clients.bytes.clone(),
            ];
            let counted = clients.counted.clone();
            clients
                .readers
                .push(tokio::spawn(count_all(read, write, counters, counted)));
        }
    }
    clients.wait_for("live", count).await;
    clients
}

/// Opens a connection and sends the request to follow.
async fn open(
    server: &Server,
    transport: Transport,
    account: &str,
) -> (OwnedReadHalf, OwnedWriteHalf) {
    let address = server.url.trim_start_matches("http://");
    let tcp = TcpStream::connect(address).await.unwrap();
    let (mut read, mut write) = tcp.into_split();
    let path = match transport {
        Transport::SocketIo => "/socket.io/?EIO=4&transport=websocket".to_owned(),
        Transport::WebSocket => format!("/v1/feeds/{account}/ws"),
        Transport::Sse => format!("/v1/feeds/{account}/sse"),
        Transport::Stream => format!("/v1/feeds/{account}/stream"),
        Transport::Iframe => format!("/v1/feeds/{account}/iframe?callback=f"),
    };
    let upgrade = match transport {
        Transport::SocketIo | Transport::WebSocket => format!(
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n"
        ),
        _ => String::new(),
    };
    let token = &server.token;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n{upgrade}\r\n"
    );
    write.write_all(request.as_bytes()).await.unwrap();
    if transport == Transport::SocketIo {
        // The OPEN packet arrives with or after the head of the response.
        let mut head = Vec::new();
        while !contains(&head, b"\"sid\"") {
            let mut some = [0; 1024];
            let read = read.read(&mut some).await.unwrap();
            head.extend(&some[..read]);
        }
        let connect = format!("40/feed,{}", json!({ "account": account }));
        write.write_all(&frame(connect.as_bytes())).await.unwrap();
    }
    (read, write)
}

/// A masked text frame.
fn frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x81];
    match u8::try_from(payload.len()) {
        Ok(short) if short < 126 => frame.push(0x80 | short),
        _ => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(
        payload
            .iter()
            .zip(MASK.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    frame
}

async fn count_all(
    mut read: OwnedReadHalf,
    write: OwnedWriteHalf,
    [updates, lives, bytes]: [Arc<AtomicUsize>; 3],
    counted: Arc<Notify>,
) {
    const UPDATE: &[u8] = b"\"type\":\"update\"";
    const LIVE: &[u8] = b"\"type\":\"live\"";
    // Kept open: dropping it would close this half of the connection, and the server would notice.
    let _write = write;
    let mut buffer = vec![0; 16 * 1024];
    // The end of the last read may be the start of a match.
    let mut carried = 0;
    loop {
        let Ok(more) = read.read(&mut buffer[carried..]).await else {
            return;
        };
        if more == 0 {
            return;
        }
        bytes.fetch_add(more, Ordering::Relaxed);
        let held = carried + more;
        let mut from = 0;
        for at in 0..held {
            let rest = &buffer[at..held];
            let (counter, what) = match () {
                () if rest.starts_with(UPDATE) => (&updates, UPDATE),
                () if rest.starts_with(LIVE) => (&lives, LIVE),
                () => continue,
            };
            counter.fetch_add(1, Ordering::Relaxed);
            from = at + what.len();
        }
        if from > 0 {
            counted.notify_waiters();
        }
        // Without what was counted, and at most the start of a match.
        carried = (held - from).min(UPDATE.len() - 1);
        buffer.copy_within(held - carried..held, 0);
    }
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}
