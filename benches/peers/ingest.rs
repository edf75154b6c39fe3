//! (g) Ingest without watchers, compared with bare SQLite in equal transactions.

use std::cell::RefCell;

use crate::{
    bare_sqlite,
    generator::{BenchError, workloads},
    load::Load,
    product::{Product, Storage},
    settings::Settings,
    table::{Column, Figures, Row, Table, Void},
    unicast::ACCOUNTS,
};

const EVENTS: u32 = 50_000;
/// Events recorded before the measurement: the ledger postpones indexing, and is cheaper until it has to catch up.
pub(crate) const BACKLOG: u32 = 70_000;
const BARE: &str = "bare rusqlite, the same rows";

const COLUMNS: [Column; 2] = [
    Column {
        name: "events/s",
        decimals: 0,
    },
    Column {
        name: "CPU s per million",
        decimals: 1,
    },
];

pub(crate) fn run(settings: &Settings) {
    // Bare SQLite inserts the rows that Tallycast has just recorded, those of the backlog first.
    let recorded = RefCell::new([Vec::new(), Vec::new()]);
    let rows = vec![
        Row::new("Tallycast, over HTTP", || measure(settings, &recorded)),
        Row::new(BARE, || measure_bare(&recorded.borrow())),
    ];
    let table = Table {
        title: format!(
            "(g) Events in durable batches of {}, to random accounts of {ACCOUNTS}, watched by nobody",
            workloads::BURST
        ),
        columns: COLUMNS,
        base: BARE,
        rows,
    };
    table.run(settings);
}

fn measure(
    settings: &Settings,
    recorded: &RefCell<[Vec<bare_sqlite::Row>; 2]>,
) -> Result<Figures<2>, Void> {
    let mut product = Product::start(settings.processors, Storage::OnDisk)?;
    let Product {
        server,
        clients,
        source,
        ..
    } = &mut product;
    let before = workloads::ingest(clients, source, settings.scaled(BACKLOG), ACCOUNTS)?;
    let (measured, load) = Load::of(server.id(), || {
        workloads::ingest(clients, source, settings.scaled(EVENTS), ACCOUNTS)
    })?;
    let [before, all] = [before.delivered, before.delivered + measured.delivered]
        .map(|count| usize::try_from(count).unwrap());
    let mut rows = bare_sqlite::rows(&server.ledger, 1, all + 1);
    let measured_rows = rows.split_off(before);
    *recorded.borrow_mut() = [rows, measured_rows];
    Ok(Figures {
        values: [
            measured.delivered as f64 / measured.elapsed.as_secs_f64(),
            load.server_seconds_per_million(measured.delivered),
        ],
        others: load.others,
    })
}

fn measure_bare([before, recorded]: &[Vec<bare_sqlite::Row>; 2]) -> Result<Figures<2>, Void> {
    assert!(
        !recorded.is_empty(),
        "bare SQLite inserts what Tallycast recorded: take both rows"
    );
    let folder = tempfile::tempdir().map_err(BenchError::from)?;
    bare_sqlite::insert(folder.path(), before, workloads::BURST as usize);
    // The work is done in this process, so `Load` is given its id as the server's.
    let (time, load) = Load::of(std::process::id(), || {
        Ok(bare_sqlite::insert(
            folder.path(),
            recorded,
            workloads::BURST as usize,
        ))
    })?;
    let count = recorded.len() as u64;
    Ok(Figures {
        values: [
            count as f64 / time.as_secs_f64(),
            load.server_seconds_per_million(count),
        ],
        others: load.others,
    })
}
