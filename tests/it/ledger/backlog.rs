//! Entries that are in no index yet are read like all others.

use std::{collections::BTreeMap, path::Path};

use rusqlite::Connection;
use serde_json::Value;
use tallycast::{Account, Event, Feed, Outcome, Sqlite, feed::Status};

/// The most bytes of entries that may be in no index.
const BYTES_MAX: i64 = 32 * 1024 * 1024;

/// About 14 KiB.
fn large(account: &str, number: usize) -> Event {
    let event = Event::consumption(format!("e-{number}"), account, "1.50", "CNY");
    (0..14).fold(event, |event, name| {
        event.with_attribute(name.to_string(), "𝄞".repeat(256))
    })
}

fn open(path: &Path) -> Feed {
    Feed::start(&Sqlite::open(path).unwrap()).unwrap()
}

fn count(path: &Path, sql: &str) -> i64 {
    let database = Connection::open(path).unwrap();
    database.query_row(sql, (), |row| row.get(0)).unwrap()
}

/// Checks everything that can be read of these accounts, each with this number of entries.
async fn check(feed: &Feed, recorded: &BTreeMap<String, usize>) {
    for (name, &entries) in recorded {
        let account = Account::parse(name).unwrap();
        let snapshot = feed.snapshot(&account, 100).await.unwrap();
        let snapshot: Value = serde_json::from_str(snapshot.json().get()).unwrap();
        assert_eq!(snapshot["offset"], entries, "{name}");
        let all = &snapshot["totals"][0]["all"];
        let amount = format!("{}.{}0", entries * 3 / 2, entries % 2 * 5);
        assert_eq!(
            (&all["count"], all["amount"].as_str()),
            (&entries.into(), Some(&*amount))
        );
        let last = snapshot["recent"].as_array().unwrap().last().unwrap();
        assert_eq!(last["offset"], entries);

        // From any offset, in either direction.
        for offset in 0..=entries as u64 + 1 {
            let forth = offsets(feed.history_after(&account, offset, 2).await.unwrap());
            let expected = offset + 1..=(offset + 2).min(entries as u64);
            assert_eq!(forth, expected.collect::<Vec<_>>(), "{name} after {offset}");
            let back = feed.history(&account, Some(offset), 2).await.unwrap();
            let end = offset.min(entries as u64 + 1);
            let expected = end.saturating_sub(2).max(1)..end;
            assert_eq!(
                offsets(back),
                expected.rev().collect::<Vec<_>>(),
                "{name} before {offset}"
            );
        }
        let again = (0..entries).map(|number| large(name, number));
        let again = feed.append_all(again.collect()).await.unwrap();
        for (number, outcome) in again.into_iter().enumerate() {
            let Outcome::Duplicate(receipt) = outcome else {
                panic!("{name} {number}: {outcome:?}");
            };
            assert_eq!(receipt.offset, number as u64 + 1);
        }
    }
}

fn offsets(history: tallycast::feed::History) -> Vec<u64> {
    let entries = history.entries().iter();
    let entry = |json: &_| {
        serde_json::from_str::<Value>(AsRef::<serde_json::value::RawValue>::as_ref(json).get())
    };
    entries
        .map(|json| entry(json).unwrap()["offset"].as_u64().unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_backlog_lets_the_oldest_go() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let feed = open(&path);
    let mut recorded = BTreeMap::new();
    // Fewer of each than are written to the indexes in one go.
    for round in 0..13 {
        let busy = (0..200).map(|number| format!("busy-{number}"));
        let seldom = (0..40)
            .map(|number| format!("seldom-{number}"))
            .filter(|_| round < 4);
        let mut batch = Vec::new();
        for name in busy.chain(seldom) {
            batch.push(large(&name, round));
            recorded.insert(name, round + 1);
        }
        let outcomes = feed.append_all(batch).await.unwrap();
        assert!(
            outcomes
                .iter()
                .all(|outcome| matches!(outcome, Outcome::Recorded(_)))
        );
    }
    check(&feed, &recorded).await;
    feed.close().await;

    let entries: usize = recorded.values().sum();
    assert_eq!(
        count(&path, "SELECT count(*) FROM entry"),
        i64::try_from(entries).unwrap()
    );
    let behind = "FROM entry WHERE number > (SELECT indexed FROM history)";
    let bytes = format!("SELECT sum(length(CAST(json AS BLOB))) {behind}");
    let bytes = count(&path, &bytes);
    assert!((BYTES_MAX / 4..=BYTES_MAX).contains(&bytes), "{bytes}");
    let indexed = count(&path, "SELECT count(*) FROM entry_place");
    assert!(indexed > 300, "beside the first of each: {indexed}");

    let feed = open(&path);
    check(&feed, &recorded).await;
    feed.close().await;
}

#[tokio::test]
async fn an_entry_is_reversed_once_wherever_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    // The first entry is in the indexes from the start.
    for original in 0..3 {
        let feed = open(&path);
        feed.append(large("alice", original)).await.unwrap();
        let reversal = |id: &str| {
            Event::reversal(format!("{id}-{original}"), "alice", format!("e-{original}"))
        };
        let first = feed.append(reversal("first")).await.unwrap();
        assert_eq!(first.status, Status::Recorded);
        for _ in 0..2 {
            let second = feed.append(reversal("second")).await.unwrap_err();
            assert_eq!(second.code(), "already_reversed");
        }
        feed.close().await;
        let feed = open(&path);
        let second = feed.append(reversal("second")).await.unwrap_err();
        assert_eq!(second.code(), "already_reversed");
        feed.close().await;
    }
}

/// Entries move into the indexes while readers read.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn readers_beside_a_writer_see_every_entry_once() {
    let folder = tempfile::tempdir().unwrap();
    let feed = open(&folder.path().join("ledger.db"));
    let alice = Account::parse("alice").unwrap();
    let writing = async {
        for number in 0..600 {
            let event = Event::consumption(format!("e-{number}"), "alice", "1.50", "CNY");
            feed.append(event).await.unwrap();
        }
    };
    let reading = async {
        loop {
            let snapshot = feed.snapshot(&alice, 40).await.unwrap();
            let snapshot: Value = serde_json::from_str(snapshot.json().get()).unwrap();
            let offset = snapshot["offset"].as_u64().unwrap();
            let recent = snapshot["recent"].as_array().unwrap();
            let recent: Vec<u64> = recent
                .iter()
                .map(|entry| entry["offset"].as_u64().unwrap())
                .collect();
            assert_eq!(
                recent,
                (offset.saturating_sub(40) + 1..=offset).collect::<Vec<_>>()
            );
            let counted = snapshot["totals"][0]["all"]["count"].as_u64().unwrap_or(0);
            assert_eq!(counted, offset);
            let after = offset.saturating_sub(20);
            let forth = offsets(feed.history_after(&alice, after, 200).await.unwrap());
            assert!(forth.len() as u64 >= offset - after);
            assert!(
                forth
                    .iter()
                    .copied()
                    .eq(after + 1..=after + forth.len() as u64),
                "{forth:?}"
            );
        }
    };
    tokio::select! {
        () = reading => {}
        () = writing => {}
    }
    feed.close().await;
}

#[tokio::test]
async fn an_account_that_is_in_no_index_is_erased() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let feed = open(&path);
    let alice = Account::parse("alice").unwrap();
    for number in 0..5 {
        feed.append(large("alice", number)).await.unwrap();
        feed.append(large("bob", number)).await.unwrap();
    }
    feed.erase(&alice).await.unwrap();
    // A new account named alice, with fewer entries.
    let first = feed.append(large("alice", 9)).await.unwrap();
    assert_eq!(first.offset, 1);
    check_recorded(&feed, &alice, 1).await;
    feed.close().await;
    assert_eq!(count(&path, "SELECT count(*) FROM entry"), 6);
    let feed = open(&path);
    check_recorded(&feed, &alice, 1).await;
    check_recorded(&feed, &Account::parse("bob").unwrap(), 5).await;
    feed.close().await;
}

async fn check_recorded(feed: &Feed, account: &Account, entries: u64) {
    let history = feed.history_after(account, 0, 200).await.unwrap();
    assert_eq!(offsets(history), (1..=entries).collect::<Vec<_>>());
}

/// At start, the ledger checks the rows whose numbers follow the last row known to be indexed.
#[tokio::test]
async fn numbers_of_erased_rows_do_not_come_again() {
    for restarts in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let [alice, bob] = ["alice", "bob"].map(|name| Account::parse(name).unwrap());
        let mut feed = open(&path);
        for number in 0..17 {
            feed.append(large("alice", number)).await.unwrap();
        }
        feed.close().await;
        // The state after a long backlog: with the seventeenth, all were written to the indexes.
        let database = Connection::open(&path).unwrap();
        let indexed = "UPDATE history SET indexed = (SELECT max(number) FROM entry)";
        database.execute(indexed, ()).unwrap();
        drop(database);
        feed = open(&path);
        feed.erase(&alice).await.unwrap();
        if restarts {
            feed.close().await;
            feed = open(&path);
        }
        for number in 0..3 {
            feed.append(large("bob", number)).await.unwrap();
        }
        feed.close().await;
        feed = open(&path);
        check_recorded(&feed, &bob, 3).await;
        feed.close().await;
    }
}
