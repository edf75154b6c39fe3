//! The epoch: a restart keeps it, a restored or copied file gets a new one.

use std::{collections::HashSet, fs, path::Path};

use tallycast::{Feed, Sqlite};

use crate::support::ledger_folder::{LedgerFolder, epoch_of, purchase, record};

#[tokio::test]
async fn no_name_of_a_file_has_a_meaning_of_its_own() {
    let folder = LedgerFolder::new();
    for name in [":memory:", "file:ledger.db?mode=memory", "a ledger%20?.db"] {
        record(&folder.path(name), 0..1).await;
        assert!(folder.path(name).is_file(), "{name}");
    }
}

#[tokio::test]
async fn a_restart_keeps_the_epoch() {
    let folder = LedgerFolder::new();
    let first = folder.record(0..1).await;
    for id in 1..4 {
        assert_eq!(folder.record(id..id + 1).await, first);
    }
    let database = fs::read(folder.ledger()).unwrap();
    assert_eq!(epoch_of(&folder.ledger()), first);
    assert_eq!(
        fs::read(folder.ledger()).unwrap(),
        database,
        "a start changes no byte"
    );
    // The folder may move.
    let moved = folder.path("elsewhere");
    fs::create_dir(&moved).unwrap();
    let other = LedgerFolder::filled(1).await;
    let epoch = epoch_of(&other.ledger());
    let target = moved.join("folder");
    fs::rename(other.folder.path(), &target).unwrap();
    assert_eq!(epoch_of(&target.join("ledger.db")), epoch);
}

#[tokio::test]
async fn a_marker_that_lags_behind_its_commits_keeps_the_epoch() {
    let folder = LedgerFolder::filled(3).await;
    let epoch = epoch_of(&folder.ledger());
    let marker = fs::read(folder.path("ledger.db-marker")).unwrap();
    folder.record(3..6).await;
    // As if the server had been killed after those commits, before the marker was written.
    fs::write(folder.path("ledger.db-marker"), marker).unwrap();
    assert_eq!(epoch_of(&folder.ledger()), epoch);
}

#[tokio::test]
async fn a_restored_or_copied_file_gets_a_new_epoch() {
    let backup = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let folder = LedgerFolder::filled(3).await;
    let mut epochs = HashSet::from([epoch_of(&folder.ledger())]);
    let mut is_new = |path: &Path, what: &str| {
        assert!(epochs.insert(epoch_of(path)), "{what} kept its epoch");
        let kept = epoch_of(path);
        assert!(!epochs.insert(kept), "{what}: the new epoch was not kept");
    };

    folder.copy_to(backup.path());
    folder.record(3..5).await;
    fs::copy(backup.path().join("ledger.db"), folder.ledger()).unwrap();
    is_new(&folder.ledger(), "a database restored alone");

    folder.copy_to(backup.path());
    folder.record(3..5).await;
    folder.copy_to(elsewhere.path());
    is_new(&elsewhere.path().join("ledger.db"), "a copied folder");
    is_new(
        &backup.path().join("ledger.db"),
        "a backup that is used itself",
    );

    let whole = tempfile::tempdir().unwrap();
    folder.copy_to(whole.path());
    folder.record(5..7).await;
    for name in folder.names() {
        fs::copy(whole.path().join(&name), folder.path(&name)).unwrap();
    }
    is_new(
        &folder.ledger(),
        "a folder restored over itself, file by file",
    );

    folder.copy_to(whole.path());
    folder.record(5..7).await;
    for name in folder.names() {
        fs::remove_file(folder.path(&name)).unwrap();
        fs::copy(whole.path().join(&name), folder.path(&name)).unwrap();
    }
    is_new(&folder.ledger(), "a folder restored anew");

    for name in ["ledger.db-marker", "ledger.db-seal"] {
        fs::remove_file(folder.path(name)).unwrap();
        is_new(&folder.ledger(), &format!("a database without {name}"));
    }
    fs::write(folder.path("ledger.db-marker"), "garbage").unwrap();
    is_new(&folder.ledger(), "a database with an unreadable marker");

    let other = LedgerFolder::filled(9).await;
    fs::copy(other.ledger(), folder.ledger()).unwrap();
    is_new(&folder.ledger(), "another ledger's database");
}

#[tokio::test]
async fn a_lost_log_gets_a_new_epoch() {
    let folder = LedgerFolder::new();
    let feed = Feed::start(&Sqlite::open(folder.ledger()).unwrap()).unwrap();
    feed.append(purchase(0)).await.unwrap();
    let copy = tempfile::tempdir().unwrap();
    for id in 1..5 {
        feed.append(purchase(id)).await.unwrap();
    }
    // A copy of the open database without its log.
    fs::copy(folder.ledger(), copy.path().join("ledger.db")).unwrap();
    let epoch = feed.epoch();
    feed.close().await;
    drop(feed);
    for suffix in ["", "-marker", "-seal"] {
        assert!(folder.path(&format!("ledger.db{suffix}")).is_file());
    }
    fs::copy(copy.path().join("ledger.db"), folder.ledger()).unwrap();
    drop(fs::remove_file(folder.path("ledger.db-wal")));
    drop(fs::remove_file(folder.path("ledger.db-shm")));
    assert_ne!(epoch_of(&folder.ledger()), epoch);
}
