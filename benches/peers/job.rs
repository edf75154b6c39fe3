//! (c) The real job: events posted in batches, durable, each to one of many accounts with one watcher.

use crate::{
    generator::{Way, drive},
    ingest::BACKLOG,
    load::Load,
    peer,
    product::{Follow, Keeps, Product},
    settings::Settings,
    table::{Figures, Row, Table, Void},
    unicast::{self, ACCOUNTS, COLUMNS},
};

const EVENTS: u32 = 50_000;
const WARM_UP: u32 = 5_000;

pub(crate) fn run(settings: &Settings) {
    let ways: [(&str, Follow); 3] = [
        ("Tallycast, durable, Socket.IO", Way::feed_socket_io),
        ("Tallycast, durable, /ws", Way::feed_web_socket),
        ("Tallycast, durable, SSE", Way::feed_sse),
    ];
    let ours = ways.map(|(name, way)| Row::new(name, move || measure(settings, way)));
    let theirs = [peer::SOCKET_IO, peer::BUN].map(|contender| unicast::row(contender, settings));
    let table = Table {
        title: format!(
            "(c) Events posted in batches of {}, each to a random one of {} accounts with one watcher; the others push alone",
            drive::BURST,
            settings.scaled(ACCOUNTS)
        ),
        columns: COLUMNS,
        base: peer::SOCKET_IO.name,
        rows: ours.into_iter().chain(theirs).collect(),
    };
    table.run(settings);
}

fn measure(settings: &Settings, way: Follow) -> Result<Figures<2>, Void> {
    let accounts = settings.scaled(ACCOUNTS);
    let mut product = Product::start(settings.processors, Keeps::OnDisk)?;
    {
        let Product { fleet, posts, .. } = &mut product;
        drive::ingest(fleet, posts, settings.scaled(BACKLOG), accounts)?;
    }
    product.watch(way, accounts)?;
    let Product {
        server,
        fleet,
        posts,
        ..
    } = &mut product;
    drive::unicast(fleet, posts, settings.scaled(WARM_UP), accounts)?;
    let (measured, load) = Load::of(server.id(), || {
        drive::unicast(fleet, posts, settings.scaled(EVENTS), accounts)
    })?;
    Ok(Figures {
        values: [
            load.server_seconds_per_million(measured.delivered),
            measured.delivered as f64 / measured.elapsed.as_secs_f64(),
        ],
        others: load.others,
    })
}
