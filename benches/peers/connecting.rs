//! (f) How fast clients connect: handshake, authentication and the first message.

use crate::{
    generator::Clients,
    load::Load,
    peer::{self, Contender},
    settings::Settings,
    table::{Column, Figures, Row, Table, Void},
};

const CONNECTIONS: u32 = 5_000;
const WARM_UP: u32 = 500;

const COLUMNS: [Column; 2] = [
    Column {
        name: "connects/s",
        decimals: 0,
    },
    Column {
        name: "CPU ms a connection",
        decimals: 3,
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
            "(f) {} connections, up to the first message; Tallycast's are authenticated",
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
    let warm_up = settings.scaled(WARM_UP);
    let peer = contender.start(settings.processors, settings.payload_bytes);
    let mut clients = Clients::new(peer.address.into())?;
    peer.watch(&mut clients, 0..warm_up)?;
    let ((), load) = Load::of(peer.id(), || {
        peer.watch(&mut clients, warm_up..warm_up + connections)
    })?;
    let connections = f64::from(connections);
    Ok(Figures {
        values: [
            connections / load.elapsed.as_secs_f64(),
            load.server_seconds * 1e3 / connections,
        ],
        others: load.others,
    })
}
