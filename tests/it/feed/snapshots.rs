//! A snapshot instead of a replay, and from a snapshot to live without another read of the ledger.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tallycast::{
    Account, Memory, SubscribeOptions,
    ledger::{
        AccountView, DayRange, DaysView, EntryRange, HappenedEntry, Ledger, LedgerError,
        LedgerReader, LedgerWriter,
    },
};

use super::resume::{position, resume, until_live};
use crate::support::{
    ledger_folder::purchase,
    test_feed::{TestFeed, alice, take},
};

#[tokio::test]
async fn who_has_a_snapshot_is_live_without_another_read() {
    let ledger = CutLedger::default();
    let test_feed = TestFeed::open_on(&ledger);
    test_feed.record([purchase(1)]).await;
    let mut subscription = test_feed
        .feed
        .subscribe(alice(), SubscribeOptions::default());
    assert_eq!(take(&mut subscription).await["type"], "snapshot");
    let reads = ledger.reads.load(Ordering::Relaxed);
    assert_eq!(take(&mut subscription).await["type"], "live");
    assert_eq!(ledger.reads.load(Ordering::Relaxed), reads);
}

#[tokio::test]
async fn what_comes_behind_a_snapshot_comes_before_live() {
    let test_feed = TestFeed::open();
    test_feed.record([purchase(1)]).await;
    let mut subscription = test_feed
        .feed
        .subscribe(alice(), SubscribeOptions::default());
    assert_eq!(take(&mut subscription).await["offset"], 1);
    test_feed.record([purchase(2)]).await;
    let next = take(&mut subscription).await;
    assert_eq!((&next["type"], &next["to"]), (&"update".into(), &2.into()));
}

#[tokio::test]
async fn a_position_ahead_of_the_ledger_is_a_snapshot() {
    let memory = Memory::new();
    let ahead = {
        // The same epoch, further on: a client's position in a history that was cut since.
        let longer = TestFeed::open_on(&memory);
        longer.record([purchase(1), purchase(2)]).await;
        position(&longer.feed).await
    };
    let test_feed = TestFeed::open_on(&CutLedger {
        ledger: memory,
        reads: Arc::default(),
    });
    let types = until_live(&mut resume(&test_feed.feed, ahead)).await;
    assert_eq!(types, ["snapshot ahead"]);
}

/// A ledger whose history was cut: readers see only the first entry. It counts reads.
#[derive(Default)]
struct CutLedger {
    ledger: Memory,
    reads: Arc<AtomicUsize>,
}

impl Ledger for CutLedger {
    fn epoch(&self) -> tallycast::domain::Epoch {
        self.ledger.epoch()
    }

    fn recorded_until(&self) -> jiff::Timestamp {
        self.ledger.recorded_until()
    }

    fn writer(&self) -> Result<Box<dyn LedgerWriter>, LedgerError> {
        self.ledger.writer()
    }

    fn reader(&self) -> Result<Box<dyn LedgerReader>, LedgerError> {
        let (reader, reads) = (self.ledger.reader()?, self.reads.clone());
        Ok(Box::new(CutReader { reader, reads }))
    }
}

struct CutReader {
    reader: Box<dyn LedgerReader>,
    reads: Arc<AtomicUsize>,
}

impl LedgerReader for CutReader {
    fn view(&mut self, account: &Account, entries: EntryRange) -> Result<AccountView, LedgerError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let mut view = self.reader.view(account, entries)?;
        view.state.offset = 1;
        view.entries.retain(|entry| entry.offset == 1);
        Ok(view)
    }

    fn days(&mut self, account: &Account, days: DayRange) -> Result<DaysView, LedgerError> {
        self.reader.days(account, days)
    }

    fn happened_after(
        &mut self,
        account: &Account,
        offset: u64,
        count: usize,
    ) -> Result<Vec<HappenedEntry>, LedgerError> {
        self.reader.happened_after(account, offset, count)
    }
}
