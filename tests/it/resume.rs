//! What a client gets that comes back with a position, and what a slow one gets.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use jiff::SignedDuration;
use serde_json::Value;
use tallycast::{
    Account, Days, DaysView, Entries, Event, Feed, HappenedEntry, Ledger, LedgerError,
    LedgerReader, LedgerWriter, Memory, Message, Mode, ProfileChange, Sqlite, SubscribeOptions,
    Subscription, View,
};

use super::desk::Desk;

/// How far behind a client may be and still get every entry.
const REPLAY_MAX: u32 = 5_000;

fn alice() -> Account {
    Account::parse("alice").unwrap()
}

fn purchase(id: u32) -> Event {
    Event::consumption(format!("p-{id}"), "alice", "1.50", "CNY").with_category("food")
}

fn json(message: &Message) -> Value {
    serde_json::from_str(message.json().get()).unwrap()
}

fn resume(feed: &Feed, after: impl ToString) -> Subscription {
    let after = Some(after.to_string());
    feed.subscribe(
        alice(),
        SubscribeOptions {
            after,
            ..SubscribeOptions::default()
        },
    )
}

async fn take(subscription: &mut Subscription) -> Value {
    let message = subscription.next().await.unwrap();
    subscription.applied(&message);
    json(&message)
}

/// The types of all messages up to `live`, a snapshot's with its reason.
async fn until_live(subscription: &mut Subscription) -> Vec<String> {
    let mut types = Vec::new();
    loop {
        let message = take(subscription).await;
        let name = message["type"].as_str().unwrap().to_owned();
        if name == "live" {
            return types;
        }
        types.push(match message["reason"].as_str() {
            Some(reason) => format!("{name} {reason}"),
            None => name,
        });
    }
}

/// Where a client is that has everything.
async fn position(feed: &Feed) -> String {
    feed.snapshot(&alice(), 0)
        .await
        .unwrap()
        .position()
        .to_string()
}

#[tokio::test]
async fn who_is_at_head_is_live_at_once() {
    let desk = Desk::open();
    let nothing = position(&desk.feed).await;
    assert!(
        until_live(&mut resume(&desk.feed, nothing))
            .await
            .is_empty()
    );
    desk.record([purchase(1)]).await;
    let position = position(&desk.feed).await;
    assert!(
        until_live(&mut resume(&desk.feed, position))
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn who_is_behind_gets_what_it_lacks() {
    let desk = Desk::open();
    desk.record([purchase(1)]).await;
    let position = position(&desk.feed).await;
    desk.record([purchase(2), purchase(3)]).await;
    let mut phone = resume(&desk.feed, position);
    let update = take(&mut phone).await;
    assert_eq!((&update["from"], &update["to"]), (&2.into(), &3.into()));
    assert_eq!(update["totals"][0]["all"]["amount"], "4.50");
    assert!(until_live(&mut phone).await.is_empty());
}

async fn replays_in_pages(ledger: &dyn Ledger) {
    let desk = Desk::open_on(ledger);
    let other = |id: &str| Event::consumption(id, "alice", "7", "kWh").with_meter("electricity");
    desk.record([purchase(0)]).await;
    let begin = position(&desk.feed).await;
    desk.record((1..=700).map(purchase)).await;
    desk.record([other("e-1")]).await;
    desk.record((701..=1_400).map(purchase)).await;

    let mut phone = resume(&desk.feed, &begin);
    let mut pages = vec![take(&mut phone).await];
    while pages.last().unwrap()["to"] != 1_402 {
        assert!(
            pages.last().unwrap().get("totals").is_none(),
            "only the last update has totals"
        );
        pages.push(take(&mut phone).await);
    }
    assert!(pages.len() > 2);
    let mut next = 2;
    for page in &pages {
        assert_eq!(page["from"], next);
        next = page["to"].as_u64().unwrap() + 1;
        let entries = page["entries"].as_array().unwrap();
        assert_eq!(entries.len() as u64, next - page["from"].as_u64().unwrap());
    }
    // The first page's meter is not among the last page's entries, and is told all the same.
    assert_eq!(pages.last().unwrap()["totals"].as_array().unwrap().len(), 2);
    assert!(until_live(&mut phone).await.is_empty());

    // Cut in the middle: the totals are still owed, though the rest has only one meter.
    for page in &pages[..pages.len() - 1] {
        let mut phone = resume(&desk.feed, page["position"].as_str().unwrap());
        let mut last = take(&mut phone).await;
        while last["to"] != 1_402 {
            last = take(&mut phone).await;
        }
        assert_eq!(last["totals"].as_array().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn a_long_replay_comes_in_pages_with_totals_on_the_last_in_memory() {
    replays_in_pages(&Memory::new()).await;
}

#[tokio::test]
async fn a_long_replay_comes_in_pages_with_totals_on_the_last_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    replays_in_pages(&Sqlite::open(folder.path().join("ledger.db")).unwrap()).await;
}

#[tokio::test]
async fn a_commit_that_needs_pages_reaches_a_live_reader_with_all_totals() {
    let desk = Desk::open();
    desk.record([Event::consumption("e", "alice", "7", "kWh")])
        .await;
    let mut phone = desk.feed.subscribe(alice(), SubscribeOptions::default());
    until_live(&mut phone).await;
    desk.record((0..1_000).map(purchase)).await;
    let mut pages = vec![take(&mut phone).await];
    while pages.last().unwrap()["to"] != 1_001 {
        assert!(pages.last().unwrap().get("totals").is_none());
        pages.push(take(&mut phone).await);
    }
    assert!(pages.len() > 1);
    assert_eq!(pages.last().unwrap()["totals"].as_array().unwrap().len(), 2);
}

/// A live reader that lags behind so many commits of one entry each: its first message, and those that
/// follow until it has everything.
async fn lag(commits: u32) -> Vec<Value> {
    let desk = Desk::open();
    let mut phone = desk.feed.subscribe(alice(), SubscribeOptions::default());
    until_live(&mut phone).await;
    desk.record([Event::consumption("e", "alice", "7", "kWh")])
        .await;
    for id in 2..=commits {
        desk.record([purchase(id)]).await;
    }
    let mut pages = vec![take(&mut phone).await];
    while pages.last().unwrap()["to"] != commits {
        pages.push(take(&mut phone).await);
    }
    pages
}

#[tokio::test]
async fn a_replay_that_meets_the_live_updates_still_owes_all_totals() {
    let first = lag(700).await[0]["to"].as_u64().unwrap();
    // So that the next update after the first page is one that live readers got.
    let pages = lag(u32::try_from(first).unwrap() + 3).await;
    assert_eq!(pages[0]["to"], first);
    assert!(pages[0].get("totals").is_none());
    let told = pages[1..]
        .iter()
        .flat_map(|page| page["totals"].as_array().into_iter().flatten());
    assert!(
        told.into_iter().any(|totals| totals["unit"] == "kWh"),
        "never told"
    );
}

#[tokio::test]
async fn five_thousand_behind_is_replayed_and_one_more_is_too_far() {
    let desk = Desk::open();
    desk.record([purchase(0)]).await;
    let first = position(&desk.feed).await;
    for thousand in 0..REPLAY_MAX / 1_000 {
        let begin = thousand * 1_000 + 1;
        desk.record((begin..begin + 1_000).map(purchase)).await;
    }
    let types = until_live(&mut resume(&desk.feed, &first)).await;
    assert!(types.iter().all(|name| name == "update"), "{types:?}");
    desk.record([purchase(REPLAY_MAX + 1)]).await;
    let types = until_live(&mut resume(&desk.feed, &first)).await;
    assert_eq!(types, ["snapshot too_far"]);
}

#[tokio::test]
async fn another_local_day_is_a_rollover_and_comes_once() {
    let desk = Desk::open();
    let zone = ProfileChange {
        time_zone: Some("Asia/Shanghai".to_owned()),
        ..ProfileChange::default()
    };
    desk.feed
        .set_profile(&alice(), zone)
        .await
        .unwrap()
        .unwrap();
    desk.record([purchase(1)]).await;
    let evening = position(&desk.feed).await;
    // It is 8 o'clock there; a day in UTC turns meanwhile, and is none.
    desk.wait(SignedDuration::from_mins(16 * 60 - 1));
    assert!(
        until_live(&mut resume(&desk.feed, &evening))
            .await
            .is_empty()
    );
    desk.wait(SignedDuration::from_mins(1));
    let mut phone = resume(&desk.feed, &evening);
    let rollover = take(&mut phone).await;
    assert_eq!(
        (&rollover["type"], &rollover["offset"]),
        (&"rollover".into(), &1.into())
    );
    let totals = &rollover["totals"][0];
    assert_eq!(
        (&totals["day"]["amount"], &totals["day"]["count"]),
        (&"0".into(), &0.into())
    );
    assert_eq!(totals["day"]["start"], "2026-11-01");
    assert_eq!(totals["month"]["categories"], serde_json::json!({}));
    assert_eq!(totals["all"]["amount"], "1.50");
    let morning = rollover["position"].as_str().unwrap().to_owned();
    assert!(until_live(&mut phone).await.is_empty());
    assert!(
        until_live(&mut resume(&desk.feed, morning))
            .await
            .is_empty()
    );

    // Behind as well: the last update brings the totals of every meter.
    desk.record([Event::consumption("e", "alice", "7", "kWh")])
        .await;
    let mut phone = resume(&desk.feed, &evening);
    assert_eq!(
        take(&mut phone).await["totals"].as_array().unwrap().len(),
        2
    );
    assert!(until_live(&mut phone).await.is_empty());
}

#[tokio::test]
async fn a_live_readers_first_update_of_a_day_has_every_meters_totals() {
    let desk = Desk::open();
    desk.record([purchase(1), Event::consumption("e-1", "alice", "7", "kWh")])
        .await;
    let mut phone = desk.feed.subscribe(alice(), SubscribeOptions::default());
    until_live(&mut phone).await;
    desk.wait(SignedDuration::from_hours(24));
    desk.record([purchase(2)]).await;
    let totals = take(&mut phone).await["totals"].clone();
    let days: Vec<&Value> = totals
        .as_array()
        .unwrap()
        .iter()
        .map(|t| &t["day"]["amount"])
        .collect();
    assert_eq!(days, ["1.50", "0"]);
    desk.record([purchase(3)]).await;
    assert_eq!(
        take(&mut phone).await["totals"].as_array().unwrap().len(),
        1
    );
}

#[tokio::test]
async fn an_edited_profile_is_a_snapshot() {
    let desk = Desk::open();
    desk.record([purchase(1)]).await;
    let before = position(&desk.feed).await;
    let change = ProfileChange {
        name: Some("Alice".to_owned()),
        ..ProfileChange::default()
    };
    desk.feed
        .set_profile(&alice(), change)
        .await
        .unwrap()
        .unwrap();
    let types = until_live(&mut resume(&desk.feed, &before)).await;
    assert_eq!(types, ["snapshot profile_changed"]);
    let after = position(&desk.feed).await;
    assert!(until_live(&mut resume(&desk.feed, &after)).await.is_empty());
}

#[tokio::test]
async fn a_position_ahead_of_the_ledger_is_a_snapshot() {
    let memory = Memory::new();
    let ahead = {
        // The same epoch, further on: what a client kept of a history that was cut.
        let longer = Desk::open_on(&memory);
        longer.record([purchase(1), purchase(2)]).await;
        position(&longer.feed).await
    };
    let desk = Desk::open_on(&Shorter {
        ledger: memory,
        reads: Arc::default(),
    });
    let types = until_live(&mut resume(&desk.feed, ahead)).await;
    assert_eq!(types, ["snapshot ahead"]);
}

#[tokio::test]
async fn a_position_of_another_epoch_is_a_snapshot() {
    let other = position(&Desk::open().feed).await;
    let types = until_live(&mut resume(&Desk::open().feed, other)).await;
    assert_eq!(types, ["snapshot epoch_changed"]);
}

#[tokio::test]
async fn a_position_that_is_none_is_a_snapshot() {
    let desk = Desk::open();
    desk.record([Event::consumption("b", "bob", "1", "CNY")])
        .await;
    let bob = Account::parse("bob").unwrap();
    let bobs = desk
        .feed
        .snapshot(&bob, 0)
        .await
        .unwrap()
        .position()
        .to_string();
    let own = position(&desk.feed).await;
    let megabyte = "A".repeat(1 << 20);
    let cut = own[..own.len() - 1].to_owned();
    for forged in [
        bobs,
        String::new(),
        "0".to_owned(),
        "⏱".to_owned(),
        megabyte,
        cut,
    ] {
        let types = until_live(&mut resume(&desk.feed, &forged)).await;
        assert_eq!(types, ["snapshot bad_position"]);
    }
}

#[tokio::test]
async fn a_slow_reader_of_totals_ends_in_the_same_state() {
    let desk = Desk::open();
    let options = |mode| SubscribeOptions {
        mode,
        ..SubscribeOptions::default()
    };
    let mut slow = desk.feed.subscribe(alice(), options(Mode::Totals));
    let mut whole = desk.feed.subscribe(alice(), options(Mode::Entries));
    until_live(&mut slow).await;
    until_live(&mut whole).await;
    for id in 0..40 {
        desk.record([purchase(id)]).await;
    }
    desk.record([Event::reversal("r", "alice", "p-7")]).await;
    desk.record([Event::adjustment("a", "alice", "-0.25", "CNY", "goodwill")])
        .await;
    for id in 40..80 {
        desk.record([purchase(id)]).await;
    }
    let merged = take(&mut slow).await;
    assert_eq!((&merged["from"], &merged["to"]), (&1.into(), &82.into()));
    assert_eq!(merged["merged"], 80);
    let kinds: Vec<&Value> = merged["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| &e["kind"])
        .collect();
    assert_eq!(kinds, ["reversal", "adjustment"]);
    let mut last = take(&mut whole).await;
    while last["to"] != 82 {
        assert!(last.get("merged").is_none());
        last = take(&mut whole).await;
    }
    assert_eq!(
        (&merged["totals"], &merged["position"]),
        (&last["totals"], &last["position"])
    );

    // One that waits alone is an ordinary update.
    desk.record([purchase(80)]).await;
    let update = take(&mut slow).await;
    assert!(update.get("merged").is_none());
    assert_eq!(update["entries"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn who_has_a_snapshot_is_live_without_another_read() {
    let ledger = Shorter::default();
    let desk = Desk::open_on(&ledger);
    desk.record([purchase(1)]).await;
    let mut phone = desk.feed.subscribe(alice(), SubscribeOptions::default());
    assert_eq!(take(&mut phone).await["type"], "snapshot");
    let reads = ledger.reads.load(Ordering::Relaxed);
    assert_eq!(take(&mut phone).await["type"], "live");
    assert_eq!(ledger.reads.load(Ordering::Relaxed), reads);
}

#[tokio::test]
async fn what_comes_behind_a_snapshot_comes_before_live() {
    let desk = Desk::open();
    desk.record([purchase(1)]).await;
    let mut phone = desk.feed.subscribe(alice(), SubscribeOptions::default());
    assert_eq!(take(&mut phone).await["offset"], 1);
    desk.record([purchase(2)]).await;
    let next = take(&mut phone).await;
    assert_eq!((&next["type"], &next["to"]), (&"update".into(), &2.into()));
}

/// A ledger whose readers see the first entry alone, a history that was cut, and count what they read.
#[derive(Default)]
struct Shorter {
    ledger: Memory,
    reads: Arc<AtomicUsize>,
}

impl Ledger for Shorter {
    fn epoch(&self) -> tallycast::Epoch {
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
        Ok(Box::new(ShorterReader { reader, reads }))
    }
}

struct ShorterReader {
    reader: Box<dyn LedgerReader>,
    reads: Arc<AtomicUsize>,
}

impl LedgerReader for ShorterReader {
    fn view(&mut self, account: &Account, entries: Entries) -> Result<View, LedgerError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let mut view = self.reader.view(account, entries)?;
        view.state.offset = 1;
        view.entries.retain(|entry| entry.offset == 1);
        Ok(view)
    }

    fn days(&mut self, account: &Account, days: Days) -> Result<DaysView, LedgerError> {
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
