//! Who can read the files of a ledger.

use std::{os::unix::fs::symlink, path::Path};

use tallycast::{Feed, Sqlite};
use tracing::Level;

use crate::support::{
    captured_log::CapturedLog,
    ledger_folder::{LedgerFolder, epoch_of, purchase},
    permissions::{mode, set_mode},
};

/// The permissions of all files of the ledger while a server has it open, by name.
async fn modes_in_use(folder: &LedgerFolder, ledger: &Path) -> Vec<(String, u32)> {
    let feed = Feed::start(&Sqlite::open(ledger).unwrap()).unwrap();
    feed.append(purchase(0)).await.unwrap();
    let mut names = folder.names();
    names.sort_unstable();
    let modes = names.into_iter().map(|name| {
        let mode = mode(&folder.path(&name));
        (name, mode)
    });
    let modes = modes.collect();
    feed.close().await;
    modes
}

#[tokio::test]
async fn files_of_a_new_ledger_are_private() {
    let folder = LedgerFolder::new();
    let modes = modes_in_use(&folder, &folder.ledger()).await;
    let expected = ["", "-marker", "-seal", "-shm", "-wal"];
    let expected = expected.map(|end| (format!("ledger.db{end}"), 0o600));
    assert_eq!(modes, expected);
}

#[tokio::test]
async fn a_new_ledger_behind_a_link_is_private() {
    let folder = LedgerFolder::new();
    let target = folder.path("elsewhere.db");
    symlink(&target, folder.ledger()).unwrap();
    drop(Sqlite::open(folder.ledger()).unwrap());
    assert_eq!(mode(&target), 0o600);
}

#[tokio::test]
async fn an_existing_ledger_keeps_its_permissions_and_its_epoch() {
    let folder = LedgerFolder::filled(1).await;
    let epoch = epoch_of(&folder.ledger());
    set_mode(&folder.ledger(), 0o640);
    let log = CapturedLog::of_this_thread(Level::WARN);
    let modes = modes_in_use(&folder, &folder.ledger()).await;
    let expected = [
        ("", 0o640),
        ("-marker", 0o600),
        ("-seal", 0o600),
        // SQLite creates these two, like the database.
        ("-shm", 0o640),
        ("-wal", 0o640),
    ];
    let expected = expected.map(|(end, mode)| (format!("ledger.db{end}"), mode));
    assert_eq!(modes, expected);
    assert_eq!(epoch_of(&folder.ledger()), epoch);
    assert_eq!(log.text(), "", "a group may be allowed to read it");
}

#[tokio::test]
async fn a_ledger_that_everybody_can_read_is_told_with_its_cure() {
    let folder = LedgerFolder::filled(1).await;
    let epoch = epoch_of(&folder.ledger());
    set_mode(&folder.ledger(), 0o644);
    let log = CapturedLog::of_this_thread(Level::WARN);
    let modes = modes_in_use(&folder, &folder.ledger()).await;
    assert_eq!(modes[0], ("ledger.db".to_owned(), 0o644));
    let log = log.text();
    let path = folder.ledger().canonicalize().unwrap();
    let path = path.display();
    let cure = format!("chmod 600 {path} {path}-wal {path}-shm");
    assert!(log.lines().count() == 1 && log.contains(&cure), "{log}");

    // The cure is one: no warning any more, and the history is the same.
    for file in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        let path = folder.path(file);
        if path.exists() {
            set_mode(&path, 0o600);
        }
    }
    let again = CapturedLog::of_this_thread(Level::WARN);
    assert_eq!(epoch_of(&folder.ledger()), epoch);
    assert_eq!(again.text(), "");
}
