//! Revocations in the ledger: they survive a restart, and go when they have expired.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use tallycast::{
    Memory, Sqlite,
    domain::{RevocationKey, StoredRevocation},
    ledger::Ledger,
};

use crate::support::ledger_folder::LedgerFolder;

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
