//! The ledger without HTTP: `append_all` of batches, compared with bare SQLite that inserts the same entry rows, with
//! the unique key index, in equal transactions.
//!
//! `cargo bench --bench ingest_ledger`; `BENCH_ENTRIES` sets the number of entries (default 300,000).
#![allow(clippy::unwrap_used, reason = "a failed benchmark stops")]

#[path = "shared/usage.rs"]
mod usage;

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tallycast::{Event, Feed, Sqlite};

use usage::{cpu_seconds, rss_kib};

const BATCH: usize = 100;
/// The number of customers in the demo's data set.
const ACCOUNTS: usize = 2_357;
const ROUNDS: usize = 6;
/// The number of concurrent callers.
const CALLERS: usize = 8;

type Row = (
    i64,
    i64,
    String,
    String,
    Vec<u8>,
    i64,
    i64,
    i64,
    i64,
    Option<i64>,
    String,
);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let entries = std::env::var("BENCH_ENTRIES");
    let entries: usize = entries.map_or(300_000, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("ledger.db");
    println!(
        "SQLite {}, {entries} entries, {ACCOUNTS} accounts, batches of {BATCH}",
        rusqlite::version()
    );
    let rest = rss_kib();
    let feed = Feed::start(&Sqlite::open(&ledger).unwrap()).unwrap();
    let per_round = entries / ROUNDS / 2 / BATCH * BATCH;
    println!(
        "{:>10} {:>9} {:>9} {:>6} {:>13} {:>12} {:>12}",
        "entries", "ours /s", "bare /s", "ratio", "8 callers /s", "ours CPU µs", "bare CPU µs",
    );
    let mut next = 0;
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let begin = next;
        let idle = cpu_seconds();
        let ours = append(&feed, next, per_round).await;
        next += per_round;
        let ours_cpu = cpu_seconds() - idle;
        let rows = rows(&ledger, begin, per_round);
        let idle = cpu_seconds();
        let bare = bare(&folder.path().join("bare.db"), &rows);
        let bare_cpu = cpu_seconds() - idle;
        let started = Instant::now();
        let part = per_round / CALLERS / BATCH * BATCH;
        let callers = (0..CALLERS).map(|caller| append(&feed, next + caller * part, part));
        futures_util::future::join_all(callers).await;
        let parallel = started.elapsed();
        next += CALLERS * part;
        let ratio = bare.as_secs_f64() / ours.as_secs_f64();
        ratios.push(ratio);
        println!(
            "{next:>10} {:>9.0} {:>9.0} {ratio:>6.2} {:>13.0} {:>12.1} {:>12.1}",
            rate(per_round, ours),
            rate(per_round, bare),
            rate(CALLERS * part, parallel),
            1e6 * ours_cpu / per_round as f64,
            1e6 * bare_cpu / per_round as f64,
        );
    }
    ratios.sort_by(f64::total_cmp);
    println!("ratio to bare SQLite, median: {:.2}", ratios[ROUNDS / 2]);
    println!("resident: {} KiB at rest, {} KiB now", rest, rss_kib());
    feed.close().await;
    let bytes = fs::metadata(&ledger).unwrap().len();
    println!("disk: {:.0} bytes an entry", bytes as f64 / next as f64);
}

fn event(number: usize) -> Event {
    let account = format!("customer-{}", number * 7_919 % ACCOUNTS);
    let amount = format!("{}.{:02}", number % 97 + 1, number % 100);
    Event::consumption(format!("order-{number}"), account, amount, "CNY")
        .with_source("shop")
        .with_category(["food", "music", "books"][number % 3])
        .with_description("A purchase")
}

async fn append(feed: &Feed, begin: usize, count: usize) -> Duration {
    let started = Instant::now();
    for batch in (begin..begin + count).step_by(BATCH) {
        let events = (batch..batch + BATCH).map(event);
        feed.append_all(events.collect()).await.unwrap();
    }
    started.elapsed()
}

/// The same rows, in the order of recording.
fn rows(ledger: &Path, begin: usize, count: usize) -> Vec<Row> {
    let database = Connection::open(ledger).unwrap();
    let sql =
        "SELECT account, offset, source, id, fingerprint, day, revision, happened, count, reverses,
               json FROM entry WHERE CAST(substr(id, 7) AS INTEGER) BETWEEN ?1 AND ?2
               ORDER BY CAST(substr(id, 7) AS INTEGER)";
    let mut statement = database.prepare(sql).unwrap();
    let rows = statement.query_map(
        [begin, begin + count - 1].map(|number| i64::try_from(number).unwrap()),
        |row| {
            Ok((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
                row.get(5)?,
                row.get(6)?,
                row.get(7)?,
                row.get(8)?,
                row.get(9)?,
                row.get(10)?,
            ))
        },
    );
    let rows: Vec<Row> = rows.unwrap().map(Result::unwrap).collect();
    assert_eq!(rows.len(), count);
    rows
}

fn bare(path: &Path, rows: &[Row]) -> Duration {
    let mut connection = Connection::open(path).unwrap();
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE IF NOT EXISTS entry (
             account INTEGER NOT NULL, offset INTEGER NOT NULL,
             source TEXT NOT NULL, id TEXT NOT NULL, fingerprint BLOB NOT NULL,
             day INTEGER NOT NULL, revision INTEGER NOT NULL,
             happened INTEGER NOT NULL, count INTEGER NOT NULL, reverses INTEGER,
             json TEXT NOT NULL, PRIMARY KEY (account, offset)
         ) STRICT, WITHOUT ROWID;
         CREATE UNIQUE INDEX IF NOT EXISTS entry_key ON entry (account, source, id);",
        )
        .unwrap();
    let started = Instant::now();
    for batch in rows.chunks(BATCH) {
        let transaction = connection.transaction().unwrap();
        let sql = "INSERT INTO entry VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
        let mut statement = transaction.prepare_cached(sql).unwrap();
        for (a, b, c, d, e, f, g, h, i, j, k) in batch {
            statement
                .execute((a, b, c, d, e, f, g, h, i, j, k))
                .unwrap();
        }
        drop(statement);
        transaction.commit().unwrap();
    }
    started.elapsed()
}

fn rate(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}
