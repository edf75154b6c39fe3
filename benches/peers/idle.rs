//! (e) What a connection costs that nothing comes for; it watches an account all the same.

use std::time::{Duration, Instant};

use crate::{
    generator::{Fault, Fleet},
    load::Load,
    peer::{self, Contender},
    server::usage,
    settings::Settings,
    table::{Column, Figures, Row, Table, Void},
};

const CONNECTIONS: u32 = 10_000;

/// Connections before it counts: what the first ones bring in for all is not theirs.
const WARM_UP: u32 = 50;

/// Longer than from one heartbeat to the next, which is 25 seconds with Node's `socket.io`.
const HELD: Duration = Duration::from_secs(26);

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
    let mut fleet = Fleet::new(peer.address.into())?;
    let rss_kib = || usage::rss_kib(peer.id()).map_err(Fault::from);
    peer.watch(&mut fleet, 0..WARM_UP)?;
    let before = rss_kib()?;
    peer.watch(&mut fleet, WARM_UP..WARM_UP + connections)?;
    let grown = rss_kib()?.saturating_sub(before);
    let ((), load) = Load::of(peer.id(), || hold(&mut fleet, HELD.mul_f64(settings.scale)))?;
    Ok(Figures {
        values: [
            grown as f64 / f64::from(connections),
            load.server_seconds * 1e3 / load.elapsed.as_secs_f64(),
        ],
        others: load.others,
    })
}

/// Answers heartbeats, and sleeps in between.
fn hold(fleet: &mut Fleet, held: Duration) -> Result<(), Fault> {
    let started = Instant::now();
    while let Some(left) = held.checked_sub(started.elapsed()) {
        fleet.turn(left, &mut |_, _| {})?;
    }
    Ok(())
}
