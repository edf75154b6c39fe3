//! Measures the main job: events in over HTTP, one event to one watching client, memory, disk.
//!
//! `cargo bench --bench main_job` runs the release binary on loopback with its default
//! configuration and compares its figures with bare SQLite in the same run. `BENCH_ENTRIES`
//! sets how many entries the ledger grows to (default 1,000,000).
#![allow(clippy::unwrap_used, reason = "a failed benchmark stops")]

#[path = "shared/bare_sqlite.rs"]
mod bare_sqlite;
#[path = "shared/median.rs"]
mod median;
#[path = "shared/server.rs"]
mod server;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use median::median;
use server::Server;

const BATCH: usize = 100;
const ACCOUNTS: usize = 2_357;
const ROUNDS: usize = 5;
const ROUND_BATCHES: usize = 200;
const LATENCY_EVENTS: usize = 2_000;
const IDLE_CLIENTS: usize = 2_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(measure());
}

async fn measure() {
    let folder = tempfile::tempdir().unwrap();
    let entries: usize = std::env::var("BENCH_ENTRIES").map_or(1_000_000, |text| {
        text.parse().expect("BENCH_ENTRIES is a number")
    });
    let server = Server::start(folder.path());
    let client = reqwest::Client::new();
    println!(
        "tallycast {}, SQLite {}",
        env!("CARGO_PKG_VERSION"),
        rusqlite::version()
    );
    println!("memory at rest: {:.1} MiB", server.rss_mib());

    let mut next = 0;
    ingest(&server, &client, &mut next, ROUND_BATCHES, 1).await;
    let mut table = Table::default();
    for _ in 0..ROUNDS {
        let first = next;
        let ours = ingest(&server, &client, &mut next, ROUND_BATCHES, 1).await;
        let bare = bare_sqlite::insert(
            folder.path(),
            &bare_sqlite::rows(&server.ledger, first, next),
            BATCH,
        );
        let parallel = ingest(&server, &client, &mut next, ROUND_BATCHES, 8).await;
        table.add(ours, parallel, bare);
    }
    table.print();

    let mut times = deliver_one_by_one(&server, &client).await;
    times.sort();
    println!(
        "POST to receipt, one watcher: p50 {:.0} µs, p99 {:.0} µs ({LATENCY_EVENTS} events)",
        micros(percentile(&times, 50)),
        micros(percentile(&times, 99)),
    );

    let before = server.rss_kib();
    let clients = idle_clients(&server).await;
    let grown = server.rss_kib().saturating_sub(before);
    println!(
        "memory per idle watching client: {:.1} KiB ({} clients)",
        f64::from(u32::try_from(grown).unwrap()) / f64::from(u32::try_from(clients.len()).unwrap()),
        clients.len(),
    );
    drop(clients);

    let cpu = server.cpu_seconds();
    let start = next;
    let started = Instant::now();
    while next < entries {
        ingest(&server, &client, &mut next, ROUND_BATCHES, 8).await;
    }
    if next > start {
        let million = (next - start) as f64 / 1e6;
        println!(
            "grown to {next} entries in {:.0} s, {:.1} CPU s per million events",
            started.elapsed().as_secs_f64(),
            (server.cpu_seconds() - cpu) / million,
        );
    }
    println!("memory at {next} entries: {:.1} MiB", server.rss_mib());
    println!(
        "disk: {:.0} bytes per entry",
        disk_bytes(folder.path()) as f64 / next as f64
    );
}

/// Rates of the rounds, in events per second.
#[derive(Default)]
struct Table {
    ours: Vec<f64>,
    parallel: Vec<f64>,
    bare: Vec<f64>,
}

impl Table {
    fn add(&mut self, ours: Duration, parallel: Duration, bare: Duration) {
        let rate = |time: Duration| (ROUND_BATCHES * BATCH) as f64 / time.as_secs_f64();
        self.ours.push(rate(ours));
        self.parallel.push(rate(parallel));
        self.bare.push(rate(bare));
    }

    fn print(mut self) {
        let bare = median(&mut self.bare);
        println!("durable ingest, batches of {BATCH}, medians of {ROUNDS} interleaved rounds:");
        println!("  bare rusqlite, same rows      {bare:9.0} events/s");
        for (name, rates) in [
            ("over HTTP, 1 connection", &mut self.ours),
            ("over HTTP, 8 connections", &mut self.parallel),
        ] {
            let rate = median(rates);
            println!("  {name:28} {rate:9.0} events/s, ratio {:.2}", rate / bare);
        }
    }
}

async fn ingest(
    server: &Server,
    client: &reqwest::Client,
    next: &mut usize,
    batches: usize,
    connections: usize,
) -> Duration {
    let bodies: Vec<String> = (0..batches)
        .map(|_| {
            let events: Vec<Value> = (0..BATCH).map(|i| event(*next + i)).collect();
            *next += BATCH;
            serde_json::to_string(&events).unwrap()
        })
        .collect();
    let started = Instant::now();
    let requests = futures_util::stream::iter(bodies).map(|body| async {
        let answer = client
            .post(format!("{}/v1/events", server.url))
            .bearer_auth(&server.token)
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await
            .unwrap();
        let answer: Value = answer.json().await.unwrap();
        let results = answer["results"].as_array().unwrap();
        assert!(
            results.iter().all(|result| result["status"] == "recorded"),
            "{answer}"
        );
    });
    requests
        .buffer_unordered(connections)
        .collect::<Vec<()>>()
        .await;
    started.elapsed()
}

fn event(number: usize) -> Value {
    // A fixed stride visits every account once before it repeats, in no obvious order.
    let account = number * 1_009 % ACCOUNTS;
    json!({
        "id": format!("order-{number}"), "source": "shop", "account": format!("customer-{account:05}"),
        "amount": format!("{}.{:02}", number % 90, number % 100), "unit": "USD",
        "category": (["food", "music", "books"][number % 3]), "description": "A purchase",
    })
}

type Socket =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// A watching client on a plain WebSocket. It speaks Engine.IO and Socket.IO itself, so that only the server is
/// measured.
async fn watch(server: &Server, account: &str) -> Socket {
    let url = server.url.replace("http", "ws");
    let url = format!("{url}/socket.io/?EIO=4&transport=websocket");
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    let auth = json!({ "token": server.token, "account": account });
    socket
        .send(Message::text(format!("40/feed,{auth}")))
        .await
        .unwrap();
    until(&mut socket, "42/feed,[\"live\"").await;
    socket
}

async fn until(socket: &mut Socket, prefix: &str) {
    loop {
        let message = socket
            .next()
            .await
            .expect("the server keeps the connection open")
            .unwrap();
        let Ok(text) = message.to_text() else {
            continue;
        };
        if text == "2" {
            socket.send(Message::text("3")).await.unwrap();
        } else if text.starts_with(prefix) {
            return;
        }
    }
}

async fn deliver_one_by_one(server: &Server, client: &reqwest::Client) -> Vec<Duration> {
    let mut socket = watch(server, "alice").await;
    let mut times = Vec::with_capacity(LATENCY_EVENTS);
    for number in 0..LATENCY_EVENTS {
        let event = json!({
            "id": format!("timed-{number}"), "account": "alice", "amount": "1.00", "unit": "USD",
        });
        let started = Instant::now();
        let post = client.post(format!("{}/v1/events", server.url));
        let post = post.bearer_auth(&server.token).json(&event).send();
        let receipt = until(&mut socket, "42/feed,[\"update\"");
        let (answer, ()) = tokio::join!(post, async {
            receipt.await;
            times.push(started.elapsed());
        });
        assert_eq!(answer.unwrap().status(), 201);
    }
    times
}

async fn idle_clients(server: &Server) -> Vec<Socket> {
    let mut sockets = Vec::with_capacity(IDLE_CLIENTS);
    for number in 0..IDLE_CLIENTS {
        sockets.push(watch(server, &format!("customer-{:05}", number % ACCOUNTS)).await);
    }
    sockets
}

fn disk_bytes(folder: &Path) -> u64 {
    let size = |name: &str| std::fs::metadata(folder.join(name)).map_or(0, |file| file.len());
    size("ledger.db") + size("ledger.db-wal")
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
