//! Whose turn it is to read the ledger.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use futures_util::{FutureExt, future::BoxFuture, future::join_all, poll};
use tallycast::{
    Account, Event, Feed, SubscribeOptions,
    feed::Mode,
    ledger::{EntryRange, Unavailable},
};
use tokio::{task::unconstrained, time::timeout};

use crate::support::{
    SOON,
    feed_hub::account,
    gate::Gate,
    hook_ledger::{HookLedger, Read},
    test_feed::{alice, take},
};

/// How many threads read.
const THREADS: usize = 4;

/// A feed whose reads are noted in their order, and wait at the gate of their account, if it has one.
struct GatedReads {
    feed: Feed,
    gates: HashMap<&'static str, Arc<Gate>>,
    noted: Arc<Mutex<Vec<String>>>,
}

/// A read that was begun and is not awaited yet.
type Begun = BoxFuture<'static, Result<(), Unavailable>>;

impl GatedReads {
    fn new(gated: &[&'static str]) -> Self {
        let gates = gated.iter().map(|name| (*name, Arc::<Gate>::default()));
        let gates: HashMap<&'static str, Arc<Gate>> = gates.collect();
        let noted = Arc::<Mutex<Vec<String>>>::default();
        let (passed, written) = (gates.clone(), noted.clone());
        let ledger = HookLedger::of_reads(move |account: &Account, _| {
            if let Some(gate) = passed.get(account.as_str()) {
                gate.pass();
            } else {
                written.lock().unwrap().push(account.to_string());
            }
        });
        Self {
            feed: Feed::start(&ledger).unwrap(),
            gates,
            noted,
        }
    }

    /// Begins to read an account for a subject: the read is in the queue when this returns.
    async fn begin(&self, subject: &str, name: &str) -> Begun {
        let (feed, name) = (self.feed.for_subject(subject), account(name));
        let read = async move { feed.snapshot(&name, 0).await.map(drop) };
        let mut read = unconstrained(read).boxed();
        assert!(poll!(&mut read).is_pending());
        read
    }
}

#[tokio::test]
async fn one_subject_leaves_a_thread_to_the_others() {
    let reads = GatedReads::new(&["slow"]);
    let mut slow = Vec::new();
    for _ in 0..100 {
        slow.push(reads.begin("mallory", "slow").await);
    }
    reads.gates["slow"].held(THREADS - 1).await;
    let feed = reads.feed.for_subject("alice");
    let read = timeout(SOON, feed.snapshot(&alice(), 0)).await;
    read.expect("its turn").unwrap();
    assert_eq!(reads.gates["slow"].waiting(), THREADS - 1);
    reads.gates["slow"].open();
    let read = timeout(SOON, join_all(slow)).await;
    read.expect("they wait, and are all done")
        .into_iter()
        .for_each(Result::unwrap);
}

#[tokio::test]
async fn subjects_take_turns() {
    let reads = GatedReads::new(&["a", "b", "c", "d"]);
    let mut begun = Vec::new();
    for name in ["a", "b", "c", "d"] {
        begun.push(reads.begin(name, name).await);
        reads.gates[name].held(1).await;
    }
    let queued = [
        ("mallory", "m1"),
        ("mallory", "m2"),
        ("mallory", "m3"),
        ("mallory", "m4"),
        ("bob", "b1"),
        ("bob", "b2"),
        ("carol", "c1"),
    ];
    for (subject, name) in queued {
        begun.push(reads.begin(subject, name).await);
    }
    // One thread does all of them, one after the other.
    reads.gates["a"].open();
    let last = begun.split_off(4);
    timeout(SOON, join_all(last)).await.expect("all are done");
    let order = reads.noted.lock().unwrap().clone();
    assert_eq!(order, ["m1", "b1", "c1", "m2", "b2", "m3", "m4"]);
    reads.gates.values().for_each(|gate| gate.open());
    timeout(SOON, join_all(begun)).await.expect("all are done");
}

#[tokio::test]
async fn without_a_subject_accounts_take_turns() {
    let reads = GatedReads::new(&["slow"]);
    let (slow, alice) = (account("slow"), alice());
    let slow = (0..100).map(|_| reads.feed.snapshot(&slow, 0));
    let mut slow = Box::pin(unconstrained(join_all(slow)));
    assert!(poll!(&mut slow).is_pending());
    let read = timeout(SOON, reads.feed.snapshot(&alice, 0)).await;
    read.expect("its turn").unwrap();
    reads.gates["slow"].open();
    timeout(SOON, slow).await.expect("all are done");
}

#[tokio::test]
async fn whoever_reads_much_at_once_waits_and_is_not_refused() {
    const READS: usize = 5_000;
    let reads = GatedReads::new(&["slow"]);
    let feed = reads.feed.for_subject("a screen in every shop");
    let slow = account("slow");
    let all = (0..READS).map(|_| feed.snapshot(&slow, 0));
    let mut all = Box::pin(unconstrained(join_all(all)));
    assert!(poll!(&mut all).is_pending());
    reads.gates["slow"].open();
    let all = timeout(SOON, all).await.expect("all are done");
    assert!(all.into_iter().all(|read| read.is_ok()));
}

#[tokio::test]
async fn closing_answers_the_reads_that_wait() {
    let reads = GatedReads::new(&["slow"]);
    let (slow, other) = (
        reads.begin("mallory", "slow").await,
        reads.begin("mallory", "slow").await,
    );
    reads.gates["slow"].held(2).await;
    let feed = reads.feed.clone();
    let closing = tokio::spawn(async move { feed.close().await });
    while reads.feed.is_available() {
        tokio::task::yield_now().await;
    }
    reads.gates["slow"].open();
    slow.await.unwrap();
    other.await.unwrap();
    closing.await.unwrap();
    let late = reads.feed.snapshot(&alice(), 0).await.unwrap_err();
    assert_eq!(late, Unavailable::Closed);
}

#[tokio::test]
async fn a_read_that_panics_frees_its_turn() {
    let ledger = HookLedger::of_reads(|account: &Account, _| {
        assert!(account.as_str() != "bad", "as asked");
    });
    let feed = Feed::start(&ledger).unwrap().for_subject("alice");
    for _ in 0..THREADS - 1 {
        let read = feed.snapshot(&account("bad"), 0).await;
        assert_eq!(read.unwrap_err(), Unavailable::Closed);
    }
    let read = timeout(SOON, feed.snapshot(&alice(), 0)).await;
    read.expect("one thread is left").unwrap();
}

/// However far a client is behind, each read is short, and one update comes.
#[tokio::test]
async fn totals_of_a_client_that_is_far_behind_are_read_in_short_steps() {
    const ENTRIES: usize = 3_000;
    let longest = Arc::<Mutex<usize>>::default();
    let noted = longest.clone();
    let ledger = HookLedger::of_reads(move |_: &Account, read| {
        if let Read::View(EntryRange::After { count, bytes, .. }) = read {
            assert!(bytes <= 100 * 1024, "{bytes}");
            let mut longest = noted.lock().unwrap();
            *longest = count.max(*longest);
        }
    });
    let feed = Feed::start(&ledger).unwrap();
    let mut subscription = feed.subscribe(alice(), SubscribeOptions::default());
    let begin = take(&mut subscription).await["position"].clone();
    let mut events: Vec<Event> = (0..ENTRIES - 3)
        .map(|id| Event::consumption(id.to_string(), "alice", "1", "CNY"))
        .collect();
    events.insert(1_000, Event::reversal("back 7", "alice", "7"));
    events.insert(2_000, Event::adjustment("more", "alice", "5", "EUR", "why"));
    events.push(Event::reversal("back 8", "alice", "8"));
    feed.append_all(events).await.unwrap();

    let options = SubscribeOptions {
        after: Some(begin.as_str().unwrap().to_owned()),
        mode: Mode::Totals,
        ..SubscribeOptions::default()
    };
    let mut behind = feed.subscribe(alice(), options);
    let update = take(&mut behind).await;
    assert_eq!(
        (&update["from"], &update["to"]),
        (&1.into(), &ENTRIES.into())
    );
    assert_eq!(update["merged"], ENTRIES - 3);
    let kept = update["entries"].as_array().unwrap().iter();
    let kept: Vec<_> = kept
        .map(|entry| entry["offset"].as_u64().unwrap())
        .collect();
    assert_eq!(kept, [1_001, 2_001, 3_000]);
    let totals = update["totals"].as_array().unwrap();
    assert_eq!(totals[0]["all"]["amount"], (ENTRIES - 5).to_string());
    assert_eq!(totals[1]["all"]["amount"], "5");
    assert_eq!(take(&mut behind).await["type"], "live");
    assert!(*longest.lock().unwrap() <= 500);
}
