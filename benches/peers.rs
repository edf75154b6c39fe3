//! Compares Tallycast with its peers in interleaved rounds: the cost of a delivered message, a connection and an event.
//!
//! `make bench` installs the peers and prints the tables of `docs/performance.md`, which explains what is measured
//! and how to select workloads. The server under test has a processor of its own. The generator, which is also that of
//! `tallycast bench`, polls on another processor and checks every message.
#![allow(clippy::unwrap_used, reason = "a failed benchmark stops")]

#[path = "shared/bare_sqlite.rs"]
mod bare_sqlite;
#[path = "../src/cli/descriptors.rs"]
mod descriptors;
#[path = "../src/cli/bench/generator/mod.rs"]
mod generator;
#[path = "shared/median.rs"]
mod median;
#[path = "shared/server.rs"]
mod server;

#[path = "peers/bare.rs"]
mod bare;
#[path = "peers/control.rs"]
mod control;
#[path = "peers/socketioxide.rs"]
mod socketioxide;
#[path = "peers/tallycast.rs"]
mod tallycast;

#[path = "peers/broadcast.rs"]
mod broadcast;
#[path = "peers/connecting.rs"]
mod connecting;
#[path = "peers/growth.rs"]
mod growth;
#[path = "peers/idle.rs"]
mod idle;
#[path = "peers/ingest.rs"]
mod ingest;
#[path = "peers/job.rs"]
mod job;
#[path = "peers/latency.rs"]
mod latency;
#[path = "peers/unicast.rs"]
mod unicast;

#[path = "peers/load.rs"]
mod load;
#[path = "peers/machine.rs"]
mod machine;
#[path = "peers/peer.rs"]
mod peer;
#[path = "peers/processors.rs"]
mod processors;
#[path = "peers/product.rs"]
mod product;
#[path = "peers/settings.rs"]
mod settings;
#[path = "peers/table.rs"]
mod table;

use std::env;

use settings::Settings;

/// The binary's allocator, for every peer in Rust.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures something, and prints its table.
type Workload = fn(&Settings);

const WORKLOADS: [(&str, Workload); 8] = [
    ("a", broadcast::run),
    ("b", unicast::run),
    ("c", job::run),
    ("d", latency::run),
    ("e", idle::run),
    ("f", connecting::run),
    ("g", ingest::run),
    ("h", growth::run),
];

fn main() {
    // Peers are child processes and inherit the limit.
    descriptors::raise();
    let args: Vec<String> = env::args().collect();
    match args.as_slice() {
        [_, peer, role] if peer == "peer" => serve_peer(role),
        [_, touch] if touch == machine::TOUCH => machine::touch(),
        _ => measure(),
    }
}

fn measure() {
    let settings = Settings::read();
    print!("{}", machine::describe(&settings));
    for (letter, run) in WORKLOADS {
        if settings.has(letter) {
            run(&settings);
        }
    }
}

/// Runs as a peer, in a process that this program started.
#[tokio::main]
async fn serve_peer(role: &str) {
    match role {
        "bare" => bare::serve().await,
        "socketioxide" => socketioxide::serve().await,
        "feed" => tallycast::serve(tallycast::Through::Feed).await,
        "push" => tallycast::serve(tallycast::Through::Push).await,
        _ => panic!("no such role: {role}"),
    }
}
