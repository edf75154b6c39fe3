//! Appends and edits that wait for the writer: they share commits, and closing answers them.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::{future::join_all, poll};
use tallycast::{
    Account, Feed, Outcome,
    domain::ProfileChange,
    ledger::{EntryRange, Ledger, Unavailable},
};
use tokio::task::unconstrained;

use crate::support::{
    gate::Gate,
    hook_ledger::{HookLedger, Read},
    ledger_folder::purchase,
    test_feed::alice,
};

/// A ledger whose commits wait until the gate opens.
struct Gated {
    ledger: HookLedger,
    gate: Arc<Gate>,
}

impl Gated {
    fn new() -> Self {
        let gate = Arc::<Gate>::default();
        let passed = gate.clone();
        let ledger = HookLedger::new(Arc::new(move || {
            passed.pass();
            Ok(())
        }));
        Self { ledger, gate }
    }

    fn open(&self) {
        self.gate.open();
    }

    /// Returns once a commit waits.
    async fn held(&self) {
        self.gate.held(1).await;
    }

    fn commits(&self) -> usize {
        self.gate.passes()
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
    assert!(before.is_ok() && edited.is_ok() && after.is_ok());
    first.await.unwrap().unwrap();
    let snapshot = feed.snapshot(&alice(), 3).await.unwrap();
    let snapshot: serde_json::Value = serde_json::from_str(snapshot.json().get()).unwrap();
    let totals = &snapshot["totals"][0];
    assert_eq!(totals["day"]["amount"], "4.50");
    assert_eq!(totals["month"]["count"], 3);
}

/// An edit that finds another zone than there was when it was sent: if the writer counted the account, everybody's
/// events would wait.
#[tokio::test]
async fn the_writer_counts_no_large_account() {
    const ENTRIES: usize = 1_000;
    let (most, gates) = (
        Arc::<AtomicUsize>::default(),
        [Arc::<Gate>::default(), Arc::default()],
    );
    let (counted, [filling, editing]) = (most.clone(), gates.clone());
    let ledger = HookLedger::new(Arc::new(move || {
        let gate = if filling.passes() == 0 {
            &filling
        } else {
            &editing
        };
        gate.pass();
        Ok(())
    }));
    let ledger = ledger.with_reads(move |_: &Account, read| {
        if let Read::HappenedForWriter(entries) = read {
            counted.fetch_max(entries, Ordering::SeqCst);
        }
    });
    let feed = Feed::start(&ledger).unwrap();
    gates[0].open();
    let events = (0..ENTRIES).map(purchase).collect();
    feed.append_all(events).await.unwrap();
    let edit = |zone: &str| {
        let (feed, time_zone) = (feed.clone(), Some(zone.to_owned()));
        let change = ProfileChange {
            time_zone,
            ..ProfileChange::default()
        };
        tokio::spawn(async move { feed.set_profile(&alice(), change).await })
    };
    let first = edit("Asia/Shanghai");
    gates[1].held(1).await;
    let second = edit("UTC");
    tokio::task::yield_now().await;
    gates[1].open();
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    let most = most.load(Ordering::SeqCst);
    assert!(most <= 256, "{most} entries counted by the writer");
    let snapshot = feed.snapshot(&alice(), 0).await.unwrap();
    let snapshot: serde_json::Value = serde_json::from_str(snapshot.json().get()).unwrap();
    assert_eq!(snapshot["time_zone"], "UTC");
    assert_eq!(snapshot["totals"][0]["day"]["count"], ENTRIES);
}

#[tokio::test]
async fn closing_answers_what_was_appended_before() {
    let ledger = Gated::new();
    let feed = Feed::start(&ledger.ledger).unwrap();
    let append = |id: usize| {
        let feed = feed.clone();
        tokio::spawn(async move { feed.append_all(vec![purchase(id)]).await })
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
    let ledger = HookLedger::new(Arc::new(|| panic!("as asked")));
    let feed = Feed::start(&ledger).unwrap();
    let refused = feed.append_all(vec![purchase(0)]).await.unwrap_err();
    assert_eq!(refused, Unavailable::Poisoned);
    feed.failed().await;
    assert!(!feed.is_available());
    let refused = feed.append_all(vec![purchase(0)]).await.unwrap_err();
    assert_eq!(refused, Unavailable::Poisoned);
}
