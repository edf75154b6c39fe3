//! (d) How long a message takes at a moderate rate, from the request for it to its receipt.

use crate::{
    generator::{BenchError, Clients, Measured, WatchProtocol, source::Source, workloads},
    load::Load,
    peer::{self, Contender},
    product::{Product, Storage},
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
        ("Tallycast, POST, durable", Storage::OnDisk),
        ("Tallycast, POST, in memory (no sync)", Storage::InMemory),
    ];
    let ours = ours.map(|(name, storage)| Row::new(name, move || measure_post(settings, storage)));
    let peers = [
        peer::FEED,
        peer::PUSH,
        peer::SOCKETIOXIDE,
        peer::SOCKET_IO,
        peer::BUN,
        peer::BARE,
    ];
    let peers =
        peers.map(|contender| Row::new(contender.name, move || measure_peer(settings, &contender)));
    let table = Table {
        title: format!(
            "(d) From asking to receipt, {MESSAGES_PER_SECOND} messages a second to {} accounts in turn",
            settings.scaled(ACCOUNTS)
        ),
        columns: COLUMNS,
        base: peer::SOCKET_IO.name,
        rows: ours.into_iter().chain(peers).collect(),
    };
    table.run(settings);
}

fn measure_post(settings: &Settings, storage: Storage) -> Result<Figures<3>, Void> {
    let mut product = Product::start(settings.processors, storage)?;
    product.watch(WatchProtocol::feed_socket_io, settings.scaled(ACCOUNTS))?;
    let server = product.server.id();
    measure(settings, server, &mut product.clients, &mut product.source)
}

fn measure_peer(settings: &Settings, contender: &Contender) -> Result<Figures<3>, Void> {
    let mut peer = contender.start(settings.processors, settings.payload_bytes);
    let mut clients = Clients::new(peer.address.into())?;
    peer.watch(&mut clients, 0..settings.scaled(ACCOUNTS))?;
    measure(settings, peer.id(), &mut clients, &mut peer)
}

fn measure(
    settings: &Settings,
    server: u32,
    clients: &mut Clients,
    source: &mut impl Source,
) -> Result<Figures<3>, Void> {
    let mut at_rate = |messages| -> Result<Measured, BenchError> {
        let accounts = settings.scaled(ACCOUNTS);
        let messages = settings.scaled(messages);
        workloads::at_rate(clients, source, messages, MESSAGES_PER_SECOND, accounts)
    };
    at_rate(WARM_UP)?;
    let (measured, load) = Load::of(server, || at_rate(MESSAGES))?;
    Ok(Figures {
        values: measured.latencies.micros([0.5, 0.99, 0.999]).unwrap(),
        others: load.others,
    })
}
