//! A disk that is full or fails: `strace` makes system calls of a child process fail.

use std::{path::Path, process::Command};

use tallycast::{Account, Event, Feed, Sqlite};

/// Enough for a checkpoint.
const EVENTS: usize = 700;

/// Runs under `strace`: appends events, each to an account of its own, and prints the outcome
/// of each.
#[tokio::test]
#[ignore = "the tests below run it, with a disk that fails"]
async fn child() {
    let Ok(path) = std::env::var("DISK_TEST_LEDGER") else {
        return;
    };
    let feed = Feed::start(&Sqlite::open(path).unwrap()).unwrap();
    for number in 0..EVENTS {
        let told = match feed.append(event(number)).await {
            Ok(receipt) => format!("recorded {}", receipt.offset),
            Err(error) => error.code().to_owned(),
        };
        println!("told {told}");
        let held = feed.snapshot(&account(0), 0).await;
        assert!(held.is_ok(), "reading goes on");
    }
    println!("told available {}", feed.is_available());
    feed.close().await;
}

fn event(number: usize) -> Event {
    let event = Event::consumption("one", account(number).as_str(), "1", "CNY");
    (0..8).fold(event, |event, number| {
        event.with_attribute(format!("{number}"), "\u{1}".repeat(256))
    })
}

fn account(number: usize) -> Account {
    Account::parse(&format!("a-{number}")).unwrap()
}

/// What the child prints while these calls on `file` fail.
fn told(folder: &Path, file: &str, inject: &str) -> Vec<String> {
    let ledger = folder.join("ledger.db");
    // `strace` needs the file to exist.
    drop(Sqlite::open(&ledger).unwrap());
    let watched = folder.join(file);
    drop(
        std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(&watched)
            .unwrap(),
    );
    let calls = inject.split(':').next().unwrap();
    let output = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-P"])
        .arg(&watched)
        .args([
            "-e",
            &format!("trace={calls}"),
            "-e",
            &format!("inject={inject}"),
        ])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "ledger::disk_failures::child",
            "--include-ignored",
            "--nocapture",
        ])
        .env("DISK_TEST_LEDGER", &ledger)
        .output()
        .expect("strace is missing: run `make setup-tests`");
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    let lines = text
        .lines()
        .filter_map(|line| Some(line.split_once("told ")?.1.to_owned()));
    let lines: Vec<String> = lines.collect();
    assert_eq!(lines.len(), EVENTS + 1);
    lines
}

/// After a restart: every acknowledged event is there, and sending all events again records the rest.
async fn settle(folder: &Path, told: &[String]) {
    let feed = Feed::start(&Sqlite::open(folder.join("ledger.db")).unwrap()).unwrap();
    for (number, told) in told[..EVENTS].iter().enumerate() {
        let entries = feed.history(&account(number), None, 2).await.unwrap();
        let held = entries.entries().len();
        if told.starts_with("recorded") {
            assert_eq!(held, 1, "event {number} was acknowledged but is lost");
        }
        let receipt = feed.append(event(number)).await.unwrap();
        assert_eq!(
            (receipt.offset, receipt.total.to_string().as_str()),
            (1, "1")
        );
    }
    feed.close().await;
}

/// Asserts that nothing is acknowledged from this event on.
fn ended_at(first: usize, told: &[String]) {
    let after = &told[first..EVENTS];
    assert!(
        after.iter().all(|told| told == "ledger_failed"),
        "{after:?}"
    );
    assert_eq!(told[EVENTS], "available false");
}

fn count(told: &[String], what: &str) -> usize {
    told.iter().filter(|told| told.starts_with(what)).count()
}

#[tokio::test]
async fn a_full_disk_refuses_and_heals_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let inject = "pwrite64:error=ENOSPC:when=600..900";
    let told = told(folder.path(), "ledger.db-wal", inject);
    let full = count(&told, "disk_full");
    assert!(full > 10, "the disk was full {full} times");
    assert_eq!(count(&told, "recorded") + full, EVENTS);
    let last = told.iter().rposition(|told| told == "disk_full").unwrap();
    assert!(last < EVENTS - 10, "it did not heal");
    assert_eq!(told[EVENTS], "available true");
    settle(folder.path(), &told).await;
}

#[tokio::test]
async fn a_checkpoint_that_finds_no_room_heals_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let inject = "pwrite64:error=ENOSPC:when=1..200";
    let told = told(folder.path(), "ledger.db", inject);
    assert_eq!(count(&told, "recorded"), EVENTS);
    assert_eq!(told[EVENTS], "available true");
    settle(folder.path(), &told).await;
}

#[tokio::test]
async fn a_failed_sync_of_the_log_ends_acknowledging() {
    let folder = tempfile::tempdir().unwrap();
    let inject = "fdatasync,fsync:error=EIO:when=50";
    let told = told(folder.path(), "ledger.db-wal", inject);
    let first = told
        .iter()
        .position(|told| !told.starts_with("recorded"))
        .unwrap();
    assert!(first < 60, "the failure was not noticed");
    ended_at(first, &told);
    settle(folder.path(), &told).await;
}

#[tokio::test]
async fn a_failed_sync_of_the_database_ends_acknowledging() {
    let folder = tempfile::tempdir().unwrap();
    // The first sync is a checkpoint's.
    let inject = "fdatasync,fsync:error=EIO:when=1";
    let told = told(folder.path(), "ledger.db", inject);
    let first = told.iter().position(|told| !told.starts_with("recorded"));
    let first = first.expect("the failed checkpoint was not noticed");
    ended_at(first, &told);
    settle(folder.path(), &told).await;
}
