//! (c) The real job: events posted in batches, durable, each to one of many accounts with one watcher.

use crate::{
    generator::{WatchProtocol, workloads},
    ingest::BACKLOG,
    load::Load,
    peer,
    product::{Follow, Product, Storage},
    settings::Settings,
    table::{Figures, Row, Table, Void},
    unicast::{self, ACCOUNTS, COLUMNS},
};

const EVENTS: u32 = 50_000;
const WARM_UP: u32 = 5_000;

pub(crate) fn run(settings: &Settings) {
    let protocols: [(&str, Follow); 3] = [
        (
            "Tallycast, durable, Socket.IO",
            WatchProtocol::feed_socket_io,
        ),
        ("Tallycast, durable, /ws", WatchProtocol::feed_web_socket),
        ("Tallycast, durable, SSE", WatchProtocol::feed_sse),
    ];
    let ours =
        protocols.map(|(name, protocol)| Row::new(name, move || measure(settings, protocol)));
    let theirs = [peer::SOCKET_IO, peer::BUN].map(|contender| unicast::row(contender, settings));
    let table = Table {
        title: format!(
            "(c) Events posted in batches of {}, each to a random one of {} accounts with one watcher; the others push alone",
            workloads::BURST,
            settings.scaled(ACCOUNTS)
        ),
        columns: COLUMNS,
        base: peer::SOCKET_IO.name,
        rows: ours.into_iter().chain(theirs).collect(),
    };
    table.run(settings);
}

fn measure(settings: &Settings, protocol: Follow) -> Result<Figures<2>, Void> {
    let accounts = settings.scaled(ACCOUNTS);
    let mut product = Product::start(settings.processors, Storage::OnDisk)?;
    {
        let Product {
            clients, source, ..
        } = &mut product;
        workloads::ingest(clients, source, settings.scaled(BACKLOG), accounts)?;
    }
    product.watch(protocol, accounts)?;
    let Product {
        server,
        clients,
        source,
        ..
    } = &mut product;
    workloads::unicast(clients, source, settings.scaled(WARM_UP), accounts)?;
    let (measured, load) = Load::of(server.id(), || {
        workloads::unicast(clients, source, settings.scaled(EVENTS), accounts)
    })?;
    Ok(Figures {
        values: [
            load.server_seconds_per_million(measured.delivered),
            measured.delivered as f64 / measured.elapsed.as_secs_f64(),
        ],
        others: load.others,
    })
}
