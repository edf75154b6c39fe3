//! (b) Random ones of many accounts, each with one watcher.

use crate::{
    generator::{Clients, workloads},
    load::Load,
    peer::{self, Contender},
    settings::Settings,
    table::{Column, Figures, Row, Table, Void, check_payload},
};

pub(crate) const ACCOUNTS: u32 = 5_000;
const MESSAGES: u32 = 200_000;
const WARM_UP: u32 = 20_000;

pub(crate) const COLUMNS: [Column; 2] = [
    Column {
        name: "CPU s per million",
        decimals: 1,
    },
    Column {
        name: "deliveries/s",
        decimals: 0,
    },
];

pub(crate) fn run(settings: &Settings) {
    let rows = peer::ALL.map(|contender| row(contender, settings));
    let table = Table {
        title: format!(
            "(b) Messages to random accounts of {}, each with one watcher",
            settings.scaled(ACCOUNTS)
        ),
        columns: COLUMNS,
        base: peer::BUN.name,
        rows: rows.into(),
    };
    table.run(settings);
}

/// A row with the cost of the push alone: without HTTP, and without a disk.
pub(crate) fn row(contender: Contender, settings: &Settings) -> Row<'_, 2> {
    Row::new(contender.name, move || measure(&contender, settings))
}

fn measure(contender: &Contender, settings: &Settings) -> Result<Figures<2>, Void> {
    let accounts = settings.scaled(ACCOUNTS);
    let mut peer = contender.start(settings.processors, settings.payload_bytes);
    let mut clients = Clients::new(peer.address.into())?;
    peer.watch(&mut clients, 0..accounts)?;
    workloads::unicast(&mut clients, &mut peer, settings.scaled(WARM_UP), accounts)?;
    let (measured, load) = Load::of(peer.id(), || {
        workloads::unicast(&mut clients, &mut peer, settings.scaled(MESSAGES), accounts)
    })?;
    check_payload(&measured, settings.payload_bytes)?;
    Ok(Figures {
        values: [
            load.server_seconds_per_million(measured.delivered),
            measured.delivered as f64 / measured.elapsed.as_secs_f64(),
        ],
        others: load.others,
    })
}
