//! (d) How long a message takes at a moderate rate, from asking to receipt.

use crate::{
    generator::{Fault, Fleet, Measured, Source, Way, drive},
    load::Load,
    peer::{self, Contender},
    product::{Keeps, Product},
    settings::Settings,
    table::{Column, Figures, Row, Table, Void},
};

const MESSAGES_PER_SECOND: u32 = 1_000;
const MESSAGES: u32 = 10_000;
const WARM_UP: u32 = 1_000;
const ACCOUNTS: u32 = 1_000;

const COLUMNS: [Column; 3] = [
    Column {
        name: "p50, µs",
        decimals: 0,
    },
    Column {
        name: "p99, µs",
        decimals: 0,
    },
    Column {
        name: "p99.9, µs",
        decimals: 0,
    },
];

pub(crate) fn run(settings: &Settings) {
    let ours = [
        ("Tallycast, POST, durable", Keeps::OnDisk),
        ("Tallycast, POST, in memory (no sync)", Keeps::InMemory),
    ];
    let ours = ours.map(|(name, keeps)| Row::new(name, move || measure_post(settings, keeps)));
    let told = [
        peer::FEED,
        peer::PUSH,
        peer::SOCKETIOXIDE,
        peer::SOCKET_IO,
        peer::BUN,
        peer::BARE,
    ];
    let told =
        told.map(|contender| Row::new(contender.name, move || measure_told(settings, &contender)));
    let table = Table {
        title: format!(
            "(d) From asking to receipt, {MESSAGES_PER_SECOND} messages a second to {} accounts in turn",
            settings.scaled(ACCOUNTS)
        ),
        columns: COLUMNS,
        base: peer::SOCKET_IO.name,
        rows: ours.into_iter().chain(told).collect(),
    };
    table.run(settings);
}

fn measure_post(settings: &Settings, keeps: Keeps) -> Result<Figures<3>, Void> {
    let mut product = Product::start(settings.processors, keeps)?;
    product.watch(Way::feed_socket_io, settings.scaled(ACCOUNTS))?;
    let server = product.server.id();
    measure(settings, server, &mut product.fleet, &mut product.posts)
}

fn measure_told(settings: &Settings, contender: &Contender) -> Result<Figures<3>, Void> {
    let mut peer = contender.start(settings.processors, settings.payload_bytes);
    let mut fleet = Fleet::new(peer.address.into())?;
    peer.watch(&mut fleet, 0..settings.scaled(ACCOUNTS))?;
    measure(settings, peer.id(), &mut fleet, &mut peer)
}

fn measure(
    settings: &Settings,
    server: u32,
    fleet: &mut Fleet,
    source: &mut impl Source,
) -> Result<Figures<3>, Void> {
    let mut at_rate = |messages| -> Result<Measured, Fault> {
        let accounts = settings.scaled(ACCOUNTS);
        let messages = settings.scaled(messages);
        drive::at_rate(fleet, source, messages, MESSAGES_PER_SECOND, accounts)
    };
    at_rate(WARM_UP)?;
    let (measured, load) = Load::of(server, || at_rate(MESSAGES))?;
    Ok(Figures {
        values: measured.latencies.micros([0.5, 0.99, 0.999]).unwrap(),
        others: load.others,
    })
}
