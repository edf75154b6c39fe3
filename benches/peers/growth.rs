//! (h) How the cost of the real job grows with the number of accounts, and of entries already stored.

use crate::{
    generator::{WatchProtocol, workloads},
    load::Load,
    product::{Product, Storage},
    settings::Settings,
    table::{Column, Figures, Row, Table, Void},
};

const ACCOUNTS: [u32; 3] = [1_000, 10_000, 100_000];
const ENTRIES: [u32; 4] = [10_000, 100_000, 1_000_000, 10_000_000];

/// The fixed number of entries while accounts vary, and of accounts while entries vary.
const ENTRIES_MIDDLE: u32 = 200_000;
const ACCOUNTS_MIDDLE: u32 = 5_000;

/// The number of watched accounts is fixed: only the ledger grows.
const WATCHERS: u32 = 1_000;
const EVENTS: u32 = 50_000;

const COLUMNS: [Column; 2] = [
    Column {
        name: "CPU µs an event",
        decimals: 1,
    },
    Column {
        name: "events/s",
        decimals: 0,
    },
];

pub(crate) fn run(settings: &Settings) {
    let accounts =
        ACCOUNTS.map(|accounts| (format!("{accounts} accounts"), accounts, ENTRIES_MIDDLE));
    let title =
        format!("(h) The real job, {ENTRIES_MIDDLE} entries stored, {WATCHERS} accounts watched");
    grow(settings, title, "1000 accounts", accounts.into());
    let entries = ENTRIES
        .into_iter()
        .filter(|entries| *entries <= settings.entries_max);
    let entries = entries.map(|entries| (format!("{entries} entries"), ACCOUNTS_MIDDLE, entries));
    let title = format!("(h) The real job, {ACCOUNTS_MIDDLE} accounts, {WATCHERS} of them watched");
    grow(settings, title, "10000 entries", entries.collect());
}

fn grow(settings: &Settings, title: String, base: &'static str, points: Vec<(String, u32, u32)>) {
    let rows = points.into_iter().map(|(name, accounts, entries)| {
        Row::new(name, move || {
            measure(
                settings,
                settings.scaled(accounts),
                settings.scaled(entries),
            )
        })
    });
    let table = Table {
        title,
        columns: COLUMNS,
        base,
        rows: rows.collect(),
    };
    table.run(settings);
}

fn measure(settings: &Settings, accounts: u32, entries: u32) -> Result<Figures<2>, Void> {
    let mut product = Product::start(settings.processors, Storage::OnDisk)?;
    {
        let Product {
            clients, source, ..
        } = &mut product;
        workloads::ingest(clients, source, entries, accounts)?;
    }
    product.watch(
        WatchProtocol::feed_socket_io,
        settings.scaled(WATCHERS).min(accounts),
    )?;
    let Product {
        server,
        clients,
        source,
        ..
    } = &mut product;
    let events = settings.scaled(EVENTS);
    let (measured, load) = Load::of(server.id(), || {
        workloads::unicast(clients, source, events, accounts)
    })?;
    let events = f64::from(events.next_multiple_of(workloads::BURST));
    Ok(Figures {
        values: [
            load.server_seconds * 1e6 / events,
            events / measured.elapsed.as_secs_f64(),
        ],
        others: load.others,
    })
}
