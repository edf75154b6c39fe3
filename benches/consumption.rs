//! The cost of budgets, categories and days: in an append, in memory, and when an account's totals are read, with few
//! and with many entries. Without HTTP; with SQLite on disk and a manual clock.
//!
//! `cargo bench --bench consumption`; `BENCH_ENTRIES` sets the number of entries of the largest account (default
//! 1,000,000), `BENCH_WATCHED` the number of accounts watched at midnight (default 100,000).
#![allow(clippy::unwrap_used, reason = "a failed benchmark stops")]

#[path = "shared/median.rs"]
mod median;
#[path = "shared/usage.rs"]
mod usage;

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp, civil::date};
use tallycast::{
    Account, Event, Feed, Sqlite, SubscribeOptions,
    domain::{Budget, Period, ProfileChange, Zone},
    feed::{Clock, ManualClock},
};

use median::median;
use usage::{cpu_seconds, rss_kib};

const BATCH: usize = 100;
const ROUNDS: usize = 7;
const ROUND_BATCHES: usize = 60;
const ACCOUNTS: usize = 2_357;
const READS: usize = 300;
/// 2025-01-01T00:00:00Z.
const BEGIN: Timestamp = Timestamp::constant(1_735_689_600, 0);
const YEAR: i64 = 365 * 86_400;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let entries = number("BENCH_ENTRIES", 1_000_000);
    let watched = number("BENCH_WATCHED", 100_000);
    appends().await;
    memory_of_accounts().await;
    reads(entries).await;
    midnight(watched).await;
}

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

struct Desk {
    feed: Feed,
    hand: ManualClock,
}

impl Desk {
    fn open(folder: &Path) -> Self {
        let (clock, hand) = Clock::manual(BEGIN);
        let ledger = Sqlite::open(folder.join("ledger.db")).unwrap();
        let feed = Feed::start_at(&ledger, clock).unwrap();
        Self { feed, hand }
    }

    async fn append(&self, events: Vec<Event>) {
        let events = events.into_iter().collect();
        let outcomes = self.feed.append_all(events).await.unwrap();
        let recorded =
            |outcome: &tallycast::Outcome| matches!(outcome, tallycast::Outcome::Recorded(_));
        assert!(outcomes.iter().all(recorded));
    }

    async fn edit(&self, account: &str, change: ProfileChange) {
        let account = Account::parse(account).unwrap();
        self.feed.set_profile(&account, change).await.unwrap();
    }
}

/// Which fields the events have, and which budgets their accounts.
struct Variant {
    name: &'static str,
    has_category: bool,
    is_late: bool,
    budgets: usize,
}

const VARIANTS: &[Variant] = &[
    Variant {
        name: "plain",
        has_category: false,
        is_late: false,
        budgets: 0,
    },
    Variant {
        name: "with a category",
        has_category: true,
        is_late: false,
        budgets: 0,
    },
    Variant {
        name: "and 1 budget",
        has_category: true,
        is_late: false,
        budgets: 1,
    },
    Variant {
        name: "and 32 budgets",
        has_category: true,
        is_late: false,
        budgets: 32,
    },
    Variant {
        name: "late, with a category",
        has_category: true,
        is_late: true,
        budgets: 0,
    },
];

/// Appends batches of 100 events, each to another account. The variants run in interleaved rounds.
async fn appends() {
    let folders: Vec<_> = VARIANTS
        .iter()
        .map(|_| tempfile::tempdir().unwrap())
        .collect();
    let desks: Vec<Desk> = folders
        .iter()
        .map(|folder| Desk::open(folder.path()))
        .collect();
    for (variant, desk) in VARIANTS.iter().zip(&desks) {
        // All accounts are stored in the same order, so that a commit touches as many pages in each variant.
        for number in 0..ACCOUNTS {
            desk.edit(&account(number), budgets(variant.budgets)).await;
        }
    }
    let mut cpu = vec![Vec::new(); VARIANTS.len()];
    let mut wall = vec![Vec::new(); VARIANTS.len()];
    for round in 0..=ROUNDS {
        for (index, (variant, desk)) in VARIANTS.iter().zip(&desks).enumerate() {
            let begin = round * ROUND_BATCHES * BATCH;
            let events: Vec<Vec<Event>> = (0..ROUND_BATCHES)
                .map(|batch| {
                    let first = begin + batch * BATCH;
                    (first..first + BATCH).map(|n| variant.event(n)).collect()
                })
                .collect();
            let (idle, started) = (cpu_seconds(), Instant::now());
            for batch in events {
                desk.append(batch).await;
            }
            // The first round warms up.
            if round > 0 {
                let count = (ROUND_BATCHES * BATCH) as f64;
                cpu[index].push((cpu_seconds() - idle) * 1e6 / count);
                wall[index].push(started.elapsed().as_secs_f64() * 1e6 / count);
            }
        }
    }
    println!(
        "an append, in batches of {BATCH}, each event to another of {ACCOUNTS} accounts; medians of {ROUNDS} interleaved rounds"
    );
    println!(
        "{:<24} {:>10} {:>7} {:>10} {:>7}",
        "", "CPU µs", "ratio", "wall µs", "ratio"
    );
    let (plain_cpu, plain_wall) = (median(&mut cpu[0].clone()), median(&mut wall[0].clone()));
    for (index, variant) in VARIANTS.iter().enumerate() {
        let (cpu, wall) = (median(&mut cpu[index]), median(&mut wall[index]));
        println!(
            "{:<24} {cpu:>10.1} {:>7.2} {wall:>10.1} {:>7.2}",
            variant.name,
            cpu / plain_cpu,
            wall / plain_wall
        );
    }
}

impl Variant {
    fn event(&self, number: usize) -> Event {
        let amount = format!("{}.{:02}", number % 97 + 1, number % 100);
        let event = Event::consumption(
            format!("order-{number}"),
            account(number * 7_919),
            amount,
            "CNY",
        )
        .with_source("shop")
        .with_description("A purchase");
        let event = match self.has_category {
            true => event.with_category(["food", "music", "books"][number % 3]),
            false => event,
        };
        match self.is_late {
            true => {
                let days = i64::try_from(number % 300).unwrap() + 2;
                event.with_time(BEGIN - SignedDuration::from_hours(24 * days))
            }
            false => event,
        }
    }
}

fn account(number: usize) -> String {
    format!("customer-{}", number % ACCOUNTS)
}

/// Budgets that are never reached, but checked with each entry.
fn budgets(count: usize) -> ProfileChange {
    let budgets = (0..count).map(|number| {
        let limit = "900000000".parse().unwrap();
        Budget::new(format!("budget-{number}"), Period::Month, limit, "CNY")
            .with_thresholds([50, 80, 100])
    });
    ProfileChange {
        budgets: budgets.collect(),
        ..ProfileChange::default()
    }
}

/// The resident memory of an account that had one event.
async fn memory_of_accounts() {
    const TOUCHED: usize = 20_000;
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::open(folder.path());
    let append = async |from: usize, to: usize| {
        for first in (from..to).step_by(BATCH) {
            let events = (first..first + BATCH).map(|number| {
                Event::consumption("order-1", format!("touched-{number}"), "12.50", "CNY")
                    .with_category("food")
            });
            desk.append(events.collect()).await;
        }
    };
    append(0, 2_000).await;
    let before = rss_kib();
    append(2_000, 2_000 + TOUCHED).await;
    let grown = rss_kib().saturating_sub(before);
    let each = grown as f64 * 1024.0 / TOUCHED as f64;
    println!(
        "memory for each account touched: {each:.0} bytes ({TOUCHED} accounts; the cache ends at 64 MiB)"
    );
}

/// Reads snapshots and a year by day, of accounts of several sizes in one ledger.
async fn reads(largest: usize) {
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::open(folder.path());
    let mut sizes: Vec<usize> = [1_000, 100_000, largest].into();
    sizes.dedup();
    for size in &sizes {
        let started = Instant::now();
        fill(&desk, *size).await;
        println!(
            "an account of {size} entries over a year, filled in {:.0} s",
            started.elapsed().as_secs_f64()
        );
        desk.hand.set(BEGIN);
    }
    desk.hand.set(BEGIN + SignedDuration::from_secs(YEAR));
    println!(
        "{:>12} {:>22} {:>22} {:>22}",
        "entries", "snapshot p50, p99 µs", "year by day, µs", "year by month, µs"
    );
    for size in &sizes {
        let account = Account::parse(&format!("size-{size}")).unwrap();
        let snapshot = times(async || {
            desk.feed.snapshot(&account, 20).await.unwrap();
        })
        .await;
        let past = async |by: Period| {
            let (from, to) = (date(2025, 1, 1), date(2025, 12, 31));
            let totals = desk.feed.past_totals(&account, by, from, to).await.unwrap();
            std::hint::black_box(serde_json::to_vec(&totals).unwrap());
        };
        let days = times(async || past(Period::Day).await).await;
        let months = times(async || past(Period::Month).await).await;
        println!("{size:>12} {snapshot:>22} {days:>22} {months:>22}");
    }
    let account = format!("size-{largest}");
    let started = Instant::now();
    let zone = ProfileChange {
        time_zone: Some("Asia/Kathmandu".to_owned()),
        ..ProfileChange::default()
    };
    desk.edit(&account, zone).await;
    println!(
        "another time zone for {largest} entries: {:.2} s",
        started.elapsed().as_secs_f64()
    );
    let started = Instant::now();
    desk.feed
        .erase(&Account::parse("size-100000").unwrap())
        .await
        .unwrap();
    println!(
        "erasure of 100000 entries: {:.2} s",
        started.elapsed().as_secs_f64()
    );
    let bytes = fs::metadata(folder.path().join("ledger.db")).unwrap().len();
    println!(
        "the ledger has {:.0} MiB",
        bytes as f64 / f64::from(1 << 20)
    );
}

/// Fills an account with entries of three categories, spread over a year.
async fn fill(desk: &Desk, size: usize) {
    const FILL: usize = 1_000;
    let step = SignedDuration::from_secs(YEAR).as_millis() / i128::try_from(size).unwrap();
    let step = SignedDuration::from_millis(i64::try_from(step).unwrap());
    for first in (0..size).step_by(FILL) {
        let at = |number: usize| BEGIN + step * i32::try_from(number).unwrap();
        desk.hand.set(at(first + FILL - 1));
        let events = (first..first + FILL).map(|number| {
            Event::consumption(
                format!("call-{number}"),
                format!("size-{size}"),
                "0.125",
                "1",
            )
            .with_meter("calls")
            .with_category(["read", "write", "list"][number % 3])
            .with_time(at(number))
        });
        desk.append(events.collect()).await;
    }
}

async fn times(mut work: impl AsyncFnMut()) -> String {
    let mut times = Vec::new();
    for _ in 0..READS {
        let started = Instant::now();
        work().await;
        times.push(started.elapsed());
    }
    times.sort();
    let at = |percent: usize| times[(READS - 1) * percent / 100].as_micros();
    format!("{}, {}", at(50), at(99))
}

/// Many watched accounts in 40 time zones: the cost of waiting, and how long a midnight takes.
async fn midnight(watched: usize) {
    const ZONES: usize = 40;
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::open(folder.path());
    let zones: Vec<String> = Zone::names()
        .filter(|name| name.contains('/'))
        .step_by(11)
        .take(ZONES)
        .collect();
    let name = |number: usize| format!("watched-{number}");
    for chunk in (0..watched).collect::<Vec<_>>().chunks(500) {
        let edits = chunk.iter().map(|number| {
            let change = ProfileChange {
                time_zone: Some(zones[number % ZONES].clone()),
                ..ProfileChange::default()
            };
            let name = name(*number);
            let desk = &desk;
            async move { desk.edit(&name, change).await }
        });
        futures_util::future::join_all(edits).await;
    }
    let mut followers = Vec::new();
    for number in 0..watched {
        let account = Account::parse(&name(number)).unwrap();
        let mut follower = desk.feed.subscribe(account, SubscribeOptions::default());
        for _ in ["snapshot", "live"] {
            let message = follower.next().await.unwrap();
            follower.applied(&message);
        }
        followers.push(follower);
    }
    let (received, mut rollovers) = tokio::sync::mpsc::unbounded_channel();
    for mut follower in followers {
        let received = received.clone();
        tokio::spawn(async move {
            while let Ok(message) = follower.next().await {
                assert_eq!(message.name(), "rollover");
                follower.applied(&message);
                if received.send(Instant::now()).is_err() {
                    return;
                }
            }
        });
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idle = cpu_seconds();
    tokio::time::sleep(Duration::from_secs(10)).await;
    println!(
        "{watched} watched accounts in {ZONES} zones: {:.2} ms of processor time a second while no day turns",
        (cpu_seconds() - idle) * 100.0
    );
    let mut now = BEGIN;
    let mut slowest = (0, Duration::ZERO);
    let end = BEGIN + SignedDuration::from_hours(24);
    while now < end {
        let next = zones
            .iter()
            .map(|name| Zone::parse(name).unwrap().date_ends_at(now))
            .min()
            .unwrap();
        let turning = zones
            .iter()
            .enumerate()
            .filter(|(_, name)| Zone::parse(name).unwrap().date_ends_at(now) == next)
            .map(|(index, _)| (watched + ZONES - 1 - index) / ZONES)
            .sum::<usize>();
        now = next;
        let started = Instant::now();
        desk.hand.set(now);
        let mut last = started;
        for _ in 0..turning {
            last = rollovers.recv().await.unwrap();
        }
        if last - started > slowest.1 {
            slowest = (turning, last - started);
        }
    }
    println!(
        "the slowest midnight of a day: {} accounts have their rollover after {:.0} ms",
        slowest.0,
        slowest.1.as_secs_f64() * 1e3
    );
}
