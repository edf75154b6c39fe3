//! (e) The cost of an idle connection that watches an account.

use std::time::{Duration, Instant};

use crate::{
    generator::{BenchError, Clients},
    load::Load,
    peer::{self, Contender},
    server::usage,
    settings::Settings,
    table::{Column, Figures, Row, Table, Void},
};

const CONNECTIONS: u32 = 10_000;

/// Connections before the measurement: memory that the first ones allocate for all of them is not counted.
const WARM_UP: u32 = 50;

/// Longer than a heartbeat interval, which is 25 seconds in Node's `socket.io`.
const IDLE_TIME: Duration = Duration::from_secs(26);

const COLUMNS: [Column; 2] = [
    Column {
        name: "KiB a connection",
        decimals: 1,
    },
    Column {
        name: "CPU ms a second, all idle",
        decimals: 1,
    },
];

pub(crate) fn run(settings: &Settings) {
    let contenders = peer::ALL
        .into_iter()
        .filter(|peer| peer.name != peer::PUSH.name);
    let rows =
        contenders.map(|contender| Row::new(contender.name, move || measure(&contender, settings)));
    let table = Table {
        title: format!(
            "(e) {} idle connections, each of an account of its own",
            settings.scaled(CONNECTIONS)
        ),
        columns: COLUMNS,
        base: peer::SOCKET_IO.name,
        rows: rows.collect(),
    };
    table.run(settings);
}

fn measure(contender: &Contender, settings: &Settings) -> Result<Figures<2>, Void> {
    let connections = settings.scaled(CONNECTIONS);
    let peer = contender.start(settings.processors, settings.payload_bytes);
    let mut clients = Clients::new(peer.address.into())?;
    let rss_kib = || usage::rss_kib(peer.id()).map_err(BenchError::from);
    peer.watch(&mut clients, 0..WARM_UP)?;
    let before = rss_kib()?;
    peer.watch(&mut clients, WARM_UP..WARM_UP + connections)?;
    let grown = rss_kib()?.saturating_sub(before);
    let ((), load) = Load::of(peer.id(), || {
        stay_idle(&mut clients, IDLE_TIME.mul_f64(settings.scale))
    })?;
    Ok(Figures {
        values: [
            grown as f64 / f64::from(connections),
            load.server_seconds * 1e3 / load.elapsed.as_secs_f64(),
        ],
        others: load.others,
    })
}

/// Answers heartbeats, and sleeps between them.
fn stay_idle(clients: &mut Clients, time: Duration) -> Result<(), BenchError> {
    let started = Instant::now();
    while let Some(left) = time.checked_sub(started.elapsed()) {
        clients.poll(left, &mut |_, _| {})?;
    }
    Ok(())
}
