//! A folder with a ledger that is opened, filled and closed again.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tallycast::{Event, Feed, Sqlite, domain::Epoch, ledger::Ledger};
use tempfile::TempDir;

pub(crate) fn purchase(id: usize) -> Event {
    Event::consumption(format!("p-{id}"), "alice", "1.50", "CNY").with_category("food")
}

/// A folder with a ledger that is opened, filled and closed again.
pub(crate) struct LedgerFolder {
    pub(crate) folder: TempDir,
}

impl LedgerFolder {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.path("ledger.db")
    }

    pub(crate) async fn filled(events: usize) -> Self {
        let folder = Self::new();
        folder.record(0..events).await;
        folder
    }

    /// Opens the ledger, appends these events one by one, and closes it.
    pub(crate) async fn record(&self, ids: std::ops::Range<usize>) -> Epoch {
        record(&self.ledger(), ids).await
    }

    pub(crate) fn copy_to(&self, other: &Path) {
        for name in self.names() {
            fs::copy(self.path(&name), other.join(&name)).unwrap();
        }
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let names = fs::read_dir(self.folder.path()).unwrap();
        names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

pub(crate) async fn record(path: &Path, ids: std::ops::Range<usize>) -> Epoch {
    let feed = Feed::start(&Sqlite::open(path).unwrap()).unwrap();
    for id in ids {
        feed.append(purchase(id)).await.unwrap();
    }
    feed.close().await;
    feed.epoch()
}

pub(crate) fn epoch_of(path: &Path) -> Epoch {
    Sqlite::open(path).unwrap().epoch()
}
