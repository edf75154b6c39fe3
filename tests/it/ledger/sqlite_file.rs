//! The ledger in a file: what it refuses, its schema versions, other writers, and the size of its log.

use std::{collections::HashSet, fs, path::Path};

use rusqlite::Connection;
use tallycast::{
    Event, Feed, Sqlite,
    feed::Status,
    ledger::{Ledger, Unavailable},
};

use crate::support::{
    ledger_folder::{LedgerFolder, purchase},
    test_feed::alice,
};

fn open_error(path: &Path) -> String {
    Sqlite::open(path).unwrap_err().to_string()
}

#[test]
fn the_library_is_recent_enough() {
    let numbers: Vec<u32> = Sqlite::library_version()
        .split('.')
        .map(|n| n.parse().unwrap())
        .collect();
    assert!(
        numbers >= vec![3, 51, 3],
        "SQLite {}",
        Sqlite::library_version()
    );
}

#[tokio::test]
async fn entries_and_their_keys_are_append_only() {
    let folder = LedgerFolder::filled(18).await;
    let database = Connection::open(folder.ledger()).unwrap();
    for sql in [
        "UPDATE entry SET json = '{}'",
        "UPDATE entry SET place = place + 100 WHERE offset = 2",
        "DELETE FROM entry WHERE offset = 2",
        "DELETE FROM entry",
        "UPDATE entry_place SET entry = 1",
        "DELETE FROM entry_place",
        "UPDATE entry_key SET entry = 1",
        "DELETE FROM entry_key WHERE entry = 2",
    ] {
        let refused = database.execute(sql, ()).unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{sql}: {refused}");
    }
    let doubled = "INSERT INTO entry_key SELECT account, source, id, 19 FROM entry_key";
    assert!(
        database.execute(doubled, ()).is_err(),
        "a key is recorded once"
    );
}

#[tokio::test]
async fn a_key_is_found_whether_or_not_it_is_in_the_index_of_keys() {
    let folder = LedgerFolder::new();
    for count in 1..=40 {
        folder.record(count - 1..count).await;
        let feed = Feed::start(&Sqlite::open(folder.ledger()).unwrap()).unwrap();
        for id in 0..count {
            let again = feed.append(purchase(id)).await.unwrap();
            assert_eq!(again.status, Status::Duplicate, "event {id} of {count}");
            assert_eq!(usize::try_from(again.offset).unwrap(), id + 1);
        }
        feed.close().await;
    }
}

#[tokio::test]
async fn commits_go_to_a_write_ahead_log() {
    let folder = LedgerFolder::filled(1).await;
    let database = Connection::open(folder.ledger()).unwrap();
    let mode: String = database
        .query_row("PRAGMA journal_mode", (), |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
}

#[tokio::test]
async fn a_second_server_is_refused() {
    let folder = LedgerFolder::new();
    let first = Sqlite::open(folder.ledger()).unwrap();
    let message = open_error(&folder.ledger());
    assert!(message.contains("another server uses it"), "{message}");
    let link = folder.path("link.db");
    std::os::unix::fs::symlink(folder.ledger(), &link).unwrap();
    assert!(open_error(&link).contains("another server uses it"));
    assert!(first.writer().is_ok());
    let twice = first.writer().err().unwrap().to_string();
    assert!(twice.contains("in use"), "{twice}");
}

#[tokio::test]
async fn what_is_no_ledger_is_refused() {
    let folder = LedgerFolder::new();
    let foreign = folder.path("foreign.db");
    Connection::open(&foreign)
        .unwrap()
        .execute("CREATE TABLE t (a)", ())
        .unwrap();
    assert!(open_error(&foreign).contains("another program"));
    let text = folder.path("text.db");
    fs::write(&text, "a note ".repeat(1_000)).unwrap();
    assert!(open_error(&text).contains("not a database"));
    folder.record(0..1).await;
    let database = Connection::open(folder.ledger()).unwrap();
    database.pragma_update(None, "user_version", 99).unwrap();
    drop(database);
    assert!(open_error(&folder.ledger()).contains("schema version 99"));
    assert!(open_error(&folder.path("missing/ledger.db")).contains("its folder"));
    fs::create_dir(folder.path("folder")).unwrap();
    assert!(Sqlite::open(folder.path("folder")).is_err());
}

/// In earlier versions, entries were sorted by account and offset, and their keys were an index.
const TO_VERSION_3: &str = "
    CREATE TABLE older (
        account INTEGER NOT NULL REFERENCES account, offset INTEGER NOT NULL,
        source TEXT NOT NULL, id TEXT NOT NULL, fingerprint BLOB NOT NULL,
        day INTEGER NOT NULL, revision INTEGER NOT NULL,
        happened INTEGER NOT NULL, count INTEGER NOT NULL, reverses INTEGER,
        json TEXT NOT NULL,
        PRIMARY KEY (account, offset)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO older SELECT account, offset, source, id, fingerprint, day, revision, happened, count,
                             reverses, json FROM entry;
    DROP TABLE revocation;
    DROP TABLE entry_key;
    DROP TABLE entry_place;
    DROP TABLE entry;
    ALTER TABLE older RENAME TO entry;
    ALTER TABLE account DROP COLUMN written;
    ALTER TABLE history DROP COLUMN indexed;
    CREATE UNIQUE INDEX entry_key ON entry (account, source, id);
    CREATE UNIQUE INDEX entry_reversed ON entry (account, reverses) WHERE reverses IS NOT NULL;
    CREATE TRIGGER entry_is_never_updated BEFORE UPDATE ON entry
        BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
    CREATE TRIGGER entry_is_never_deleted BEFORE DELETE ON entry
        WHEN OLD.account NOT IN (SELECT account FROM erasure)
        BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
";

#[tokio::test]
async fn ledgers_of_the_versions_before_are_taken_over() {
    // In version 2 each state counts all entries; in version 3 it may be behind.
    for (version, entries) in [(2, 1), (3, 20)] {
        let folder = LedgerFolder::filled(entries).await;
        let database = Connection::open(folder.ledger()).unwrap();
        database.execute_batch(TO_VERSION_3).unwrap();
        database
            .pragma_update(None, "user_version", version)
            .unwrap();
        drop(database);
        // Existing events are not recorded again.
        folder.record(0..40).await;
        let database = Connection::open(folder.ledger()).unwrap();
        let version = database.pragma_query_value(None, "user_version", |row| row.get(0));
        assert_eq!(version, Ok(5));
        assert_eq!(told(&folder).await, (40, "60.00".to_owned()));
    }
}

#[tokio::test]
async fn an_account_that_can_have_no_more_entries_says_so() {
    let folder = LedgerFolder::filled(1).await;
    let database = Connection::open(folder.ledger()).unwrap();
    // As if it had 2^32 - 2 entries.
    let full = "UPDATE account SET written = 4294967294,
                                   state = json_set(state, '$.offset', 4294967294)";
    database.execute(full, ()).unwrap();
    drop(database);
    let feed = Feed::start(&Sqlite::open(folder.ledger()).unwrap()).unwrap();
    let last = feed.append(purchase(1)).await.unwrap();
    assert_eq!(last.offset, 4_294_967_295);
    let history = feed.history(&alice(), None, 5).await.unwrap();
    assert_eq!(history.entries().len(), 2);
    let refused = format!("{:?}", feed.append(purchase(2)).await.unwrap_err());
    assert!(refused.contains("too many entries"), "{refused}");
    feed.close().await;
}

#[tokio::test]
async fn a_restart_adds_up_what_the_stored_state_lacks() {
    let folder = LedgerFolder::new();
    let mut behind = HashSet::new();
    for count in 1..=40_usize {
        folder.record(count - 1..count).await;
        let database = Connection::open(folder.ledger()).unwrap();
        behind.insert(count - stored_offset(&database));
        let total = format!("{}.{}0", count * 3 / 2, count % 2 * 5);
        assert_eq!(told(&folder).await, (count, total));
    }
    assert_eq!(behind, (0..16).collect(), "a state is written now and then");
}

/// How many entries the stored state of the only account counts.
fn stored_offset(database: &Connection) -> usize {
    let sql = "SELECT written FROM account";
    let offset = database.query_row(sql, (), |row| row.get::<_, u16>(0));
    usize::from(offset.unwrap())
}

/// Alice's last offset and total amount, from her snapshot.
async fn told(folder: &LedgerFolder) -> (usize, String) {
    let feed = Feed::start(&Sqlite::open(folder.ledger()).unwrap()).unwrap();
    let snapshot = feed.snapshot(&alice(), 0).await.unwrap();
    feed.close().await;
    let snapshot: serde_json::Value = serde_json::from_str(snapshot.json().get()).unwrap();
    let (offset, all) = (&snapshot["offset"], &snapshot["totals"][0]["all"]);
    assert_eq!(all["count"], *offset);
    let offset = usize::try_from(offset.as_u64().unwrap()).unwrap();
    (offset, all["amount"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_foreign_writer_poisons() {
    let folder = LedgerFolder::filled(1).await;
    let feed = Feed::start(&Sqlite::open(folder.ledger()).unwrap()).unwrap();
    feed.append(purchase(1)).await.unwrap();
    let database = Connection::open(folder.ledger()).unwrap();
    database
        .execute("UPDATE history SET commits = commits + 1", ())
        .unwrap();
    let refused = feed.append_all(vec![purchase(2)]).await.unwrap_err();
    assert_eq!(refused, Unavailable::Poisoned);
    assert!(!feed.is_available());
    feed.failed().await;
    assert_eq!(
        feed.append_all(vec![purchase(1)]).await.unwrap_err(),
        Unavailable::Poisoned
    );
    feed.close().await;
    folder.record(2..4).await;
}

#[tokio::test]
async fn a_busy_database_is_waited_for() {
    let folder = LedgerFolder::filled(1).await;
    let feed = Feed::start(&Sqlite::open(folder.ledger()).unwrap()).unwrap();
    let database = Connection::open(folder.ledger()).unwrap();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    let appended = tokio::spawn({
        let feed = feed.clone();
        async move { feed.append(purchase(1)).await }
    });
    // The writer is in its busy wait, or about to enter it; the lock is released in either case.
    tokio::task::yield_now().await;
    database.execute_batch("ROLLBACK").unwrap();
    assert_eq!(appended.await.unwrap().unwrap().offset, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_stays_bounded_under_load_with_readers() {
    const LOG_BYTES_MAX: u64 = 96 * 1024 * 1024;
    let folder = LedgerFolder::new();
    let feed = Feed::start(&Sqlite::open(folder.ledger()).unwrap()).unwrap();
    let wal = folder.path("ledger.db-wal");
    let reading = tokio::spawn({
        let feed = feed.clone();
        async move {
            loop {
                feed.history(&alice(), None, 200).await.unwrap();
            }
        }
    });
    let mut writers = Vec::new();
    let mut largest = 0;
    for writer in 0..4 {
        let feed = feed.clone();
        writers.push(tokio::spawn(async move {
            for batch in 0..15 {
                let events = (0..200).map(|number| {
                    let event = Event::consumption(
                        format!("{batch}-{number}"),
                        format!("a-{number}"),
                        1,
                        "CNY",
                    );
                    event
                        .with_source(format!("w-{writer}"))
                        .with_description("d".repeat(400))
                });
                feed.append_all(events.collect()).await.unwrap();
            }
        }));
    }
    while writers.iter().any(|writer| !writer.is_finished()) {
        largest = largest.max(fs::metadata(&wal).map_or(0, |file| file.len()));
        feed.append(Event::consumption(
            format!("s-{largest}"),
            "sampler",
            1,
            "CNY",
        ))
        .await
        .ok();
    }
    reading.abort();
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(largest <= LOG_BYTES_MAX, "the log grew to {largest} bytes");
    assert!(largest > 0);
}
