//! Revocations in the ledger: they survive a restart, and go when they have expired.

use std::path::Path;

use jiff::{SignedDuration, Timestamp, ToSpan};
use rusqlite::Connection;
use tallycast::{
    Authorize, Feed, Grant, Hub, Memory, Scope, Sqlite,
    access::{Accounts, Authorizing},
    domain::{Revocation, RevocationKey, StoredRevocation},
    ledger::Ledger,
};

use crate::support::ledger_folder::{LedgerFolder, purchase};

fn stored(key: u8, issued_before: Option<&str>, expires_in: SignedDuration) -> StoredRevocation {
    let expires_at = Timestamp::now() + expires_in;
    let expires_at = Timestamp::from_millisecond(expires_at.as_millisecond()).unwrap();
    StoredRevocation {
        key: RevocationKey::from([key; 32]),
        issued_before: issued_before.map(|instant| instant.parse().unwrap()),
        expires_at,
    }
}

fn revoke(ledger: &dyn Ledger, revocations: &[StoredRevocation]) {
    let mut writer = ledger.writer().unwrap();
    for revocation in revocations {
        writer.revoke(revocation, Timestamp::now()).unwrap();
        writer.maintain().unwrap();
    }
}

fn kept(ledger: &dyn Ledger) -> Vec<StoredRevocation> {
    let mut kept = ledger.reader().unwrap().revocations().unwrap();
    kept.sort_by_key(|revocation| revocation.key);
    kept
}

const HOUR: SignedDuration = SignedDuration::from_hours(1);

#[test]
fn what_is_stored_is_read_back_and_replaced_by_its_key() {
    let folder = LedgerFolder::new();
    let sqlite = Sqlite::open(folder.ledger()).unwrap();
    for ledger in [&sqlite as &dyn Ledger, &Memory::new()] {
        assert_eq!(kept(ledger), []);
        let token = stored(1, None, HOUR);
        let subject = stored(2, Some("2023-11-14T22:13:20.125Z"), HOUR);
        let later = stored(2, Some("2024-11-14T22:13:20Z"), HOUR * 2);
        revoke(ledger, &[subject, token, later]);
        assert_eq!(kept(ledger), [token, later]);
    }
    drop(sqlite);
    let again = Sqlite::open(folder.ledger()).unwrap();
    assert_eq!(kept(&again).len(), 2);
}

#[tokio::test]
async fn the_expired_are_removed_by_maintenance() {
    let folder = LedgerFolder::new();
    let (over, open) = (stored(1, None, -HOUR), stored(2, None, HOUR));
    {
        let ledger = Sqlite::open(folder.ledger()).unwrap();
        let mut writer = ledger.writer().unwrap();
        for revocation in [over, open] {
            writer.revoke(&revocation, Timestamp::now()).unwrap();
        }
    }
    assert_eq!(count(&folder.ledger()), 2);
    // Any commit is followed by maintenance.
    folder.record(0..1).await;
    assert_eq!(count(&folder.ledger()), 1);
    assert_eq!(kept(&Sqlite::open(folder.ledger()).unwrap()), [open]);

    let memory = Memory::new();
    revoke(&memory, &[over, open]);
    assert_eq!(kept(&memory), [open]);
}

fn count(path: &Path) -> u32 {
    let database = Connection::open(path).unwrap();
    let sql = "SELECT count(*) FROM revocation";
    database.query_row(sql, (), |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_ledger_from_before_revocations_gets_their_table() {
    let folder = LedgerFolder::filled(20).await;
    let database = Connection::open(folder.ledger()).unwrap();
    database.execute_batch("DROP TABLE revocation").unwrap();
    database.pragma_update(None, "user_version", 4).unwrap();
    drop(database);
    let epoch = folder.record(0..21).await;
    let ledger = Sqlite::open(folder.ledger()).unwrap();
    assert_eq!(ledger.epoch(), epoch, "the same history goes on");
    revoke(&ledger, &[stored(1, None, HOUR)]);
    assert_eq!(kept(&ledger).len(), 1);
}

/// Takes a token for the grant's subject, id and time of issue: `alice id 1700000000`.
struct Plain;

impl Authorize for Plain {
    fn authorize<'a>(&'a self, token: &'a str) -> Authorizing<'a> {
        Box::pin(async move {
            let mut parts = token.split(' ');
            let mut part = || parts.next().unwrap().to_owned();
            let grant = Grant::new(part(), Scope::Watch, Accounts::all()).with_token_id(part());
            let issued_at = Timestamp::from_second(part().parse().unwrap()).unwrap();
            Ok(grant.with_issued_at(issued_at))
        })
    }
}

async fn is_revoked(hub: &Hub, token: &str) -> bool {
    hub.is_revoked(&Plain.authorize(token).await.unwrap())
}

#[tokio::test]
async fn a_hub_on_the_same_file_knows_what_was_revoked() {
    let folder = LedgerFolder::new();
    let open = async || {
        let ledger = Sqlite::open(folder.ledger()).unwrap();
        Hub::builder(ledger, Plain).build().await.unwrap()
    };
    let hub = open().await;
    let instant = Timestamp::from_second(1_700_000_000).unwrap();
    hub.revoke(Revocation::of_token("lost").unwrap())
        .await
        .unwrap();
    // Half a millisecond is not stored, and must not let a token slip through.
    let uneven = Revocation::of_subject("bob", instant + 500.microseconds()).unwrap();
    hub.revoke(uneven).await.unwrap();
    hub.feed().append(purchase(1)).await.unwrap();
    let check = async |hub: &Hub| {
        for (token, revoked) in [
            ("alice lost 1700000000", true),
            ("alice kept 1700000000", false),
            ("bob x 1700000000", true),
            ("bob x 1700000001", false),
        ] {
            assert_eq!(is_revoked(hub, token).await, revoked, "{token}");
        }
    };
    check(&hub).await;
    hub.feed().close().await;
    drop(hub);
    check(&open().await).await;
}

/// The names of persons are not left in a file that outlives their accounts.
#[tokio::test]
async fn no_subject_is_stored_in_plain_text() {
    let folder = LedgerFolder::new();
    let hub = Hub::builder(Sqlite::open(folder.ledger()).unwrap(), Plain).build();
    let hub = hub.await.unwrap();
    let name = "a-name-that-no-other-file-has";
    let revocations = [
        Revocation::of_subject(name, Timestamp::now()).unwrap(),
        Revocation::of_token(name).unwrap(),
    ];
    for revocation in revocations {
        assert!(!format!("{revocation:?}").contains(name));
        hub.revoke(revocation).await.unwrap();
    }
    for file in folder.names() {
        let bytes = std::fs::read(folder.path(&file)).unwrap();
        let found = bytes
            .windows(name.len())
            .any(|part| part == name.as_bytes());
        assert!(!found, "{file}");
    }
}

#[tokio::test]
async fn a_revocation_fails_as_a_commit_fails() {
    let folder = LedgerFolder::filled(1).await;
    let hub = Hub::builder(Sqlite::open(folder.ledger()).unwrap(), Plain).build();
    let hub = hub.await.unwrap();
    let database = Connection::open(folder.ledger()).unwrap();
    let sql = "UPDATE history SET commits = commits + 1";
    database.execute(sql, ()).unwrap();
    let revocation = Revocation::of_token("lost").unwrap();
    let refused = hub.revoke(revocation).await.unwrap_err();
    assert_eq!(refused.code(), "ledger_failed");
    assert!(!is_revoked(&hub, "alice lost 1").await);
    assert!(!hub.feed().is_available(), "another process has written");
    hub.feed().close().await;
    let refused = hub.revoke(Revocation::of_token("lost").unwrap()).await;
    assert_eq!(refused.unwrap_err().code(), "ledger_failed");
}

#[tokio::test]
async fn time_does_not_go_back_behind_a_revocation() {
    let memory = Memory::new();
    let (clock, hand) = tallycast::feed::Clock::manual("2030-01-01T00:00:00Z".parse().unwrap());
    let hub = Hub::builder(memory.clone(), Plain).clock(clock).build();
    let hub = hub.await.unwrap();
    let before = hub.feed().now();
    hub.revoke(Revocation::of_token("lost").unwrap())
        .await
        .unwrap();
    hand.advance(-HOUR);
    assert_eq!(hub.feed().now(), before);
    assert_eq!(memory.recorded_until(), before);
    hub.feed().close().await;
    let feed = Feed::start(&memory).unwrap();
    assert_eq!(feed.now(), before);
}
