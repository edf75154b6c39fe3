//! (a) One account that all clients watch.

use crate::{
    generator::{Clients, workloads},
    load::Load,
    peer::{self, Contender},
    settings::Settings,
    table::{Column, Figures, Row, Table, Void, check_payload},
};

/// The number of watchers, and the most messages in flight.
const SHAPES: [(u32, u64); 5] = [(100, 1), (1_000, 1), (1_000, 4), (5_000, 1), (5_000, 4)];

/// Deliveries per round, so that it takes the server a few seconds.
const DELIVERIES: u32 = 300_000;

/// Divides a round's messages: this part is sent before, so that compilers and caches have settled.
const WARM_UP_DIVISOR: u32 = 5;

const COLUMNS: [Column; 4] = [
    Column {
        name: "CPU s per million",
        decimals: 1,
    },
    Column {
        name: "deliveries/s",
        decimals: 0,
    },
    Column {
        name: "p50 to the last watcher, µs",
        decimals: 0,
    },
    Column {
        name: "p99, µs",
        decimals: 0,
    },
];

pub(crate) fn run(settings: &Settings) {
    for (watchers, window) in SHAPES {
        let watchers = settings.scaled(watchers);
        let title = match window {
            1 => format!("(a) {watchers} watchers of one account, one message at a time"),
            _ => format!("(a) {watchers} watchers of one account, {window} messages in flight"),
        };
        let rows = peer::ALL.map(|contender| {
            Row::new(contender.name, move || {
                measure(&contender, settings, watchers, window)
            })
        });
        let table = Table {
            title,
            columns: COLUMNS,
            base: peer::BUN.name,
            rows: rows.into(),
        };
        table.run(settings);
    }
}

fn measure(
    contender: &Contender,
    settings: &Settings,
    watchers: u32,
    window: u64,
) -> Result<Figures<4>, Void> {
    let mut peer = contender.start(settings.processors, settings.payload_bytes);
    let mut clients = Clients::new(peer.address.into())?;
    peer.watch(&mut clients, (0..watchers).map(|_| 0))?;
    let messages = settings.scaled(DELIVERIES / watchers);
    workloads::broadcast(
        &mut clients,
        &mut peer,
        messages.div_ceil(WARM_UP_DIVISOR),
        window,
    )?;
    let (measured, load) = Load::of(peer.id(), || {
        workloads::broadcast(&mut clients, &mut peer, messages, window)
    })?;
    check_payload(&measured, settings.payload_bytes)?;
    let [middle, high] = measured.latencies.micros([0.5, 0.99]).unwrap();
    Ok(Figures {
        values: [
            load.server_seconds_per_million(measured.delivered),
            measured.delivered as f64 / measured.elapsed.as_secs_f64(),
            middle,
            high,
        ],
        others: load.others,
    })
}
