//! The ledger in a file: what it refuses, how it tells a restored file, and what it does when the
//! disk does not do what it should.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex},
};

use futures_util::{future::join_all, poll};
use rusqlite::Connection;
use tallycast::{
    Account, EntryRange, Epoch, Event, Feed, Ledger, Outcome, ProfileChange, Sqlite, Status,
    Unavailable,
};
use tempfile::TempDir;
use tokio::task::unconstrained;

use super::hooked::Hooked;

fn purchase(id: usize) -> Event {
    Event::consumption(format!("p-{id}"), "alice", "1.50", "CNY").with_category("food")
}

fn alice() -> Account {
    Account::parse("alice").unwrap()
}

/// A folder with a ledger that is opened, filled and closed again.
struct Home {
    folder: TempDir,
}

impl Home {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn ledger(&self) -> PathBuf {
        self.path("ledger.db")
    }

    async fn filled(events: usize) -> Self {
        let home = Self::new();
        home.record(0..events).await;
        home
    }

    /// Opens it, appends these one by one, closes it.
    async fn record(&self, ids: std::ops::Range<usize>) -> Epoch {
        record(&self.ledger(), ids).await
    }

    fn copy_to(&self, other: &Path) {
        for name in self.names() {
            fs::copy(self.path(&name), other.join(&name)).unwrap();
        }
    }

    fn names(&self) -> Vec<String> {
        let names = fs::read_dir(self.folder.path()).unwrap();
        names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

async fn record(path: &Path, ids: std::ops::Range<usize>) -> Epoch {
    let feed = Feed::start(&Sqlite::open(path).unwrap()).unwrap();
    for id in ids {
        feed.append(purchase(id)).await.unwrap();
    }
    feed.close().await;
    feed.epoch()
}

fn epoch_of(path: &Path) -> Epoch {
    Sqlite::open(path).unwrap().epoch()
}

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
    let home = Home::filled(18).await;
    let database = Connection::open(home.ledger()).unwrap();
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
    let home = Home::new();
    for count in 1..=40 {
        home.record(count - 1..count).await;
        let feed = Feed::start(&Sqlite::open(home.ledger()).unwrap()).unwrap();
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
    let home = Home::filled(1).await;
    let database = Connection::open(home.ledger()).unwrap();
    let mode: String = database
        .query_row("PRAGMA journal_mode", (), |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
}

#[tokio::test]
async fn a_second_server_is_refused() {
    let home = Home::new();
    let first = Sqlite::open(home.ledger()).unwrap();
    let message = open_error(&home.ledger());
    assert!(message.contains("another server uses it"), "{message}");
    let link = home.path("link.db");
    std::os::unix::fs::symlink(home.ledger(), &link).unwrap();
    assert!(open_error(&link).contains("another server uses it"));
    assert!(first.writer().is_ok());
    let twice = first.writer().err().unwrap().to_string();
    assert!(twice.contains("in use"), "{twice}");
}

#[tokio::test]
async fn what_is_no_ledger_is_refused() {
    let home = Home::new();
    let foreign = home.path("foreign.db");
    Connection::open(&foreign)
        .unwrap()
        .execute("CREATE TABLE t (a)", ())
        .unwrap();
    assert!(open_error(&foreign).contains("another program"));
    let text = home.path("text.db");
    fs::write(&text, "a note ".repeat(1_000)).unwrap();
    assert!(open_error(&text).contains("not a database"));
    home.record(0..1).await;
    let database = Connection::open(home.ledger()).unwrap();
    database.pragma_update(None, "user_version", 99).unwrap();
    drop(database);
    assert!(open_error(&home.ledger()).contains("schema version 99"));
    assert!(open_error(&home.path("missing/ledger.db")).contains("its folder"));
    fs::create_dir(home.path("folder")).unwrap();
    assert!(Sqlite::open(home.path("folder")).is_err());
}

/// In the versions before, entries were sorted by account and offset, and their keys were an index.
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
    // In version 2 each state counted all entries, as this one's does; in version 3 it may be behind.
    for (version, entries) in [(2, 1), (3, 20)] {
        let home = Home::filled(entries).await;
        let database = Connection::open(home.ledger()).unwrap();
        database.execute_batch(TO_VERSION_3).unwrap();
        database
            .pragma_update(None, "user_version", version)
            .unwrap();
        drop(database);
        // What is there already is not recorded again.
        home.record(0..40).await;
        let database = Connection::open(home.ledger()).unwrap();
        let version = database.pragma_query_value(None, "user_version", |row| row.get(0));
        assert_eq!(version, Ok(4));
        assert_eq!(told(&home).await, (40, "60.00".to_owned()));
    }
}

#[tokio::test]
async fn an_account_that_can_have_no_more_entries_says_so() {
    let home = Home::filled(1).await;
    let database = Connection::open(home.ledger()).unwrap();
    // As if it had 2^32 - 2 of them.
    let full = "UPDATE account SET written = 4294967294,
                                   state = json_set(state, '$.offset', 4294967294)";
    database.execute(full, ()).unwrap();
    drop(database);
    let feed = Feed::start(&Sqlite::open(home.ledger()).unwrap()).unwrap();
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
    let home = Home::new();
    let mut behind = HashSet::new();
    for count in 1..=40_usize {
        home.record(count - 1..count).await;
        let database = Connection::open(home.ledger()).unwrap();
        behind.insert(count - stored_offset(&database));
        let total = format!("{}.{}0", count * 3 / 2, count % 2 * 5);
        assert_eq!(told(&home).await, (count, total));
    }
    assert_eq!(behind, (0..16).collect(), "a state is written now and then");
}

/// How many entries the stored state of the only account counts.
fn stored_offset(database: &Connection) -> usize {
    let sql = "SELECT written FROM account";
    let offset = database.query_row(sql, (), |row| row.get::<_, u16>(0));
    usize::from(offset.unwrap())
}

/// What alice's snapshot tells: her last offset, and what she spent in all.
async fn told(home: &Home) -> (usize, String) {
    let feed = Feed::start(&Sqlite::open(home.ledger()).unwrap()).unwrap();
    let snapshot = feed.snapshot(&alice(), 0).await.unwrap();
    feed.close().await;
    let snapshot: serde_json::Value = serde_json::from_str(snapshot.json().get()).unwrap();
    let (offset, all) = (&snapshot["offset"], &snapshot["totals"][0]["all"]);
    assert_eq!(all["count"], *offset);
    let offset = usize::try_from(offset.as_u64().unwrap()).unwrap();
    (offset, all["amount"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn no_name_of_a_file_has_a_meaning_of_its_own() {
    let home = Home::new();
    for name in [":memory:", "file:ledger.db?mode=memory", "a ledger%20?.db"] {
        record(&home.path(name), 0..1).await;
        assert!(home.path(name).is_file(), "{name}");
    }
}

#[tokio::test]
async fn a_restart_keeps_the_epoch() {
    let home = Home::new();
    let first = home.record(0..1).await;
    for id in 1..4 {
        assert_eq!(home.record(id..id + 1).await, first);
    }
    let database = fs::read(home.ledger()).unwrap();
    assert_eq!(epoch_of(&home.ledger()), first);
    assert_eq!(
        fs::read(home.ledger()).unwrap(),
        database,
        "a start changes no byte"
    );
    // The folder may move.
    let moved = home.path("elsewhere");
    fs::create_dir(&moved).unwrap();
    let other = Home::filled(1).await;
    let epoch = epoch_of(&other.ledger());
    let target = moved.join("folder");
    fs::rename(other.folder.path(), &target).unwrap();
    assert_eq!(epoch_of(&target.join("ledger.db")), epoch);
}

#[tokio::test]
async fn a_marker_that_lags_behind_its_commits_keeps_the_epoch() {
    let home = Home::filled(3).await;
    let epoch = epoch_of(&home.ledger());
    let marker = fs::read(home.path("ledger.db-marker")).unwrap();
    home.record(3..6).await;
    // As if the server had been killed after those commits, before the marker was written.
    fs::write(home.path("ledger.db-marker"), marker).unwrap();
    assert_eq!(epoch_of(&home.ledger()), epoch);
}

#[tokio::test]
async fn a_restored_or_copied_file_gets_a_new_epoch() {
    let backup = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let home = Home::filled(3).await;
    let mut epochs = HashSet::from([epoch_of(&home.ledger())]);
    let mut is_new = |path: &Path, what: &str| {
        assert!(epochs.insert(epoch_of(path)), "{what} kept its epoch");
        let kept = epoch_of(path);
        assert!(!epochs.insert(kept), "{what}: the new epoch was not kept");
    };

    home.copy_to(backup.path());
    home.record(3..5).await;
    fs::copy(backup.path().join("ledger.db"), home.ledger()).unwrap();
    is_new(&home.ledger(), "a database restored alone");

    home.copy_to(backup.path());
    home.record(3..5).await;
    home.copy_to(elsewhere.path());
    is_new(&elsewhere.path().join("ledger.db"), "a copied folder");
    is_new(
        &backup.path().join("ledger.db"),
        "a backup that is used itself",
    );

    let whole = tempfile::tempdir().unwrap();
    home.copy_to(whole.path());
    home.record(5..7).await;
    for name in home.names() {
        fs::copy(whole.path().join(&name), home.path(&name)).unwrap();
    }
    is_new(
        &home.ledger(),
        "a folder restored over itself, file by file",
    );

    home.copy_to(whole.path());
    home.record(5..7).await;
    for name in home.names() {
        fs::remove_file(home.path(&name)).unwrap();
        fs::copy(whole.path().join(&name), home.path(&name)).unwrap();
    }
    is_new(&home.ledger(), "a folder restored anew");

    for name in ["ledger.db-marker", "ledger.db-seal"] {
        fs::remove_file(home.path(name)).unwrap();
        is_new(&home.ledger(), &format!("a database without {name}"));
    }
    fs::write(home.path("ledger.db-marker"), "garbage").unwrap();
    is_new(&home.ledger(), "a database with an unreadable marker");

    let other = Home::filled(9).await;
    fs::copy(other.ledger(), home.ledger()).unwrap();
    is_new(&home.ledger(), "another ledger's database");
}

#[tokio::test]
async fn a_lost_log_gets_a_new_epoch() {
    let home = Home::new();
    let feed = Feed::start(&Sqlite::open(home.ledger()).unwrap()).unwrap();
    feed.append(purchase(0)).await.unwrap();
    let copy = tempfile::tempdir().unwrap();
    for id in 1..5 {
        feed.append(purchase(id)).await.unwrap();
    }
    // What a copy of the open database is without its log.
    fs::copy(home.ledger(), copy.path().join("ledger.db")).unwrap();
    let epoch = feed.epoch();
    feed.close().await;
    drop(feed);
    for suffix in ["", "-marker", "-seal"] {
        assert!(home.path(&format!("ledger.db{suffix}")).is_file());
    }
    fs::copy(copy.path().join("ledger.db"), home.ledger()).unwrap();
    drop(fs::remove_file(home.path("ledger.db-wal")));
    drop(fs::remove_file(home.path("ledger.db-shm")));
    assert_ne!(epoch_of(&home.ledger()), epoch);
}

#[tokio::test]
async fn a_foreign_writer_poisons() {
    let home = Home::filled(1).await;
    let feed = Feed::start(&Sqlite::open(home.ledger()).unwrap()).unwrap();
    feed.append(purchase(1)).await.unwrap();
    let database = Connection::open(home.ledger()).unwrap();
    database
        .execute("UPDATE history SET commits = commits + 1", ())
        .unwrap();
    let refused = feed.append_all(vec![Ok(purchase(2))]).await.unwrap_err();
    assert_eq!(refused, Unavailable::Poisoned);
    assert!(!feed.is_available());
    feed.failed().await;
    assert_eq!(
        feed.append_all(vec![Ok(purchase(1))]).await.unwrap_err(),
        Unavailable::Poisoned
    );
    feed.close().await;
    home.record(2..4).await;
}

#[tokio::test]
async fn a_busy_database_is_waited_for() {
    let home = Home::filled(1).await;
    let feed = Feed::start(&Sqlite::open(home.ledger()).unwrap()).unwrap();
    let database = Connection::open(home.ledger()).unwrap();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    let appended = tokio::spawn({
        let feed = feed.clone();
        async move { feed.append(purchase(1)).await }
    });
    // The writer is inside its busy wait, or comes to it: the lock is released in either case.
    tokio::task::yield_now().await;
    database.execute_batch("ROLLBACK").unwrap();
    assert_eq!(appended.await.unwrap().unwrap().offset, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_stays_bounded_under_load_with_readers() {
    const LOG_BYTES_MAX: u64 = 96 * 1024 * 1024;
    let home = Home::new();
    let feed = Feed::start(&Sqlite::open(home.ledger()).unwrap()).unwrap();
    let wal = home.path("ledger.db-wal");
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
                    Ok(event
                        .with_source(format!("w-{writer}"))
                        .with_description("d".repeat(400)))
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

/// A ledger whose commits wait for a sign.
struct Gated {
    ledger: Hooked,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    state: Mutex<GateState>,
    moved: Condvar,
}

#[derive(Default)]
struct GateState {
    is_open: bool,
    waiting: usize,
    commits: usize,
}

impl Gated {
    fn new() -> Self {
        let gate = Arc::<Gate>::default();
        let passed = gate.clone();
        let ledger = Hooked::new(Arc::new(move || {
            passed.pass();
            Ok(())
        }));
        Self { ledger, gate }
    }

    fn open(&self) {
        self.gate.state.lock().unwrap().is_open = true;
        self.gate.moved.notify_all();
    }

    /// Returns when a commit waits.
    async fn held(&self) {
        let gate = self.gate.clone();
        let waiting = tokio::task::spawn_blocking(move || {
            let state = gate.state.lock().unwrap();
            drop(
                gate.moved
                    .wait_while(state, |state| state.waiting == 0)
                    .unwrap(),
            );
        });
        waiting.await.unwrap();
    }

    fn commits(&self) -> usize {
        self.gate.state.lock().unwrap().commits
    }
}

impl Gate {
    /// Waits for the sign.
    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.waiting += 1;
        state.commits += 1;
        self.moved.notify_all();
        let mut state = self
            .moved
            .wait_while(state, |state| !state.is_open)
            .unwrap();
        state.waiting -= 1;
    }
}

#[tokio::test]
async fn appends_that_wait_share_a_commit() {
    let ledger = Gated::new();
    let feed = Feed::start(&ledger.ledger).unwrap();
    let append = |id: usize| {
        let feed = feed.clone();
        async move { feed.append(purchase(id)).await.unwrap().offset }
    };
    let first = tokio::spawn(append(0));
    ledger.held().await;
    let mut rest = Box::pin(unconstrained(join_all((1..500).map(append))));
    assert!(poll!(&mut rest).is_pending(), "all of them wait");
    ledger.open();
    assert_eq!(first.await.unwrap(), 1);
    let offsets: HashSet<u64> = rest.await.into_iter().collect();
    assert_eq!(offsets, (2..=500).collect());
    assert_eq!(ledger.commits(), 2, "500 appends, of which 499 waited");
}

#[tokio::test]
async fn a_zone_edit_among_appends_counts_them_all() {
    let ledger = Gated::new();
    let feed = Feed::start(&ledger.ledger).unwrap();
    let first = tokio::spawn({
        let feed = feed.clone();
        async move { feed.append(purchase(0)).await }
    });
    ledger.held().await;
    let zone = ProfileChange {
        time_zone: Some("Asia/Shanghai".to_owned()),
        ..ProfileChange::default()
    };
    let together = async {
        let account = alice();
        let edited = feed.set_profile(&account, zone);
        tokio::join!(feed.append(purchase(1)), edited, feed.append(purchase(2)))
    };
    let opened = async {
        tokio::task::yield_now().await;
        ledger.open();
    };
    let ((before, edited, after), ()) = tokio::join!(together, opened);
    assert!(before.is_ok() && edited.unwrap().is_ok() && after.is_ok());
    first.await.unwrap().unwrap();
    let snapshot = feed.snapshot(&alice(), 3).await.unwrap();
    let snapshot: serde_json::Value = serde_json::from_str(snapshot.json().get()).unwrap();
    let totals = &snapshot["totals"][0];
    assert_eq!(totals["day"]["amount"], "4.50");
    assert_eq!(totals["month"]["count"], 3);
}

#[tokio::test]
async fn closing_answers_what_was_appended_before() {
    let ledger = Gated::new();
    let feed = Feed::start(&ledger.ledger).unwrap();
    let append = |id: usize| {
        let feed = feed.clone();
        tokio::spawn(async move { feed.append_all(vec![Ok(purchase(id))]).await })
    };
    let first = append(0);
    ledger.held().await;
    let second = append(1);
    tokio::task::yield_now().await;
    let closing = tokio::spawn({
        let feed = feed.clone();
        async move { feed.close().await }
    });
    tokio::task::yield_now().await;
    let late = append(2);
    tokio::task::yield_now().await;
    ledger.open();
    for appended in [first, second] {
        let outcomes = appended.await.unwrap().unwrap();
        assert!(matches!(outcomes[..], [Outcome::Recorded(_)]));
    }
    closing.await.unwrap();
    assert_eq!(late.await.unwrap().unwrap_err(), Unavailable::Closed);
    assert!(!feed.is_available());
    feed.close().await;
    let held = ledger
        .ledger
        .reader()
        .unwrap()
        .view(&alice(), EntryRange::None)
        .unwrap();
    assert_eq!(held.state.offset, 2);
    let read = feed.snapshot(&alice(), 0).await.unwrap_err();
    assert_eq!(read, Unavailable::Closed);
}

#[tokio::test]
async fn a_writer_that_panics_poisons() {
    let ledger = Hooked::new(Arc::new(|| panic!("as asked")));
    let feed = Feed::start(&ledger).unwrap();
    let refused = feed.append_all(vec![Ok(purchase(0))]).await.unwrap_err();
    assert_eq!(refused, Unavailable::Poisoned);
    feed.failed().await;
    assert!(!feed.is_available());
    let refused = feed.append_all(vec![Ok(purchase(0))]).await.unwrap_err();
    assert_eq!(refused, Unavailable::Poisoned);
}
