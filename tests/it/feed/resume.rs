//! What a client gets that resumes from a position, and what a slow client gets.

use jiff::SignedDuration;
use serde_json::Value;
use tallycast::{
    Account, Event, Feed, Memory, Sqlite, SubscribeOptions, Subscription, domain::ProfileChange,
    feed::Mode, ledger::Ledger,
};

use crate::support::test_feed::{TestFeed, alice, take};

/// How many entries a client may lack and still get every one of them.
const REPLAY_MAX: u32 = 5_000;

pub(super) fn purchase(id: u32) -> Event {
    Event::consumption(format!("p-{id}"), "alice", "1.50", "CNY").with_category("food")
}

pub(super) fn resume(feed: &Feed, after: impl ToString) -> Subscription {
    let after = Some(after.to_string());
    feed.subscribe(
        alice(),
        SubscribeOptions {
            after,
            ..SubscribeOptions::default()
        },
    )
}

/// The types of all messages up to `live`; a snapshot's type includes its reason.
pub(super) async fn until_live(subscription: &mut Subscription) -> Vec<String> {
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

/// The position of a client that has everything.
pub(super) async fn position(feed: &Feed) -> String {
    feed.snapshot(&alice(), 0)
        .await
        .unwrap()
        .position()
        .to_string()
}

#[tokio::test]
async fn who_is_at_head_is_live_at_once() {
    let test_feed = TestFeed::open();
    let nothing = position(&test_feed.feed).await;
    assert!(
        until_live(&mut resume(&test_feed.feed, nothing))
            .await
            .is_empty()
    );
    test_feed.record([purchase(1)]).await;
    let position = position(&test_feed.feed).await;
    assert!(
        until_live(&mut resume(&test_feed.feed, position))
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn who_is_behind_gets_what_it_lacks() {
    let test_feed = TestFeed::open();
    test_feed.record([purchase(1)]).await;
    let position = position(&test_feed.feed).await;
    test_feed.record([purchase(2), purchase(3)]).await;
    let mut subscription = resume(&test_feed.feed, position);
    let update = take(&mut subscription).await;
    assert_eq!((&update["from"], &update["to"]), (&2.into(), &3.into()));
    assert_eq!(update["totals"][0]["all"]["amount"], "4.50");
    assert!(until_live(&mut subscription).await.is_empty());
}

async fn replays_in_pages(ledger: &dyn Ledger) {
    let test_feed = TestFeed::open_on(ledger);
    let other = |id: &str| Event::consumption(id, "alice", "7", "kWh").with_meter("electricity");
    test_feed.record([purchase(0)]).await;
    let begin = position(&test_feed.feed).await;
    test_feed.record((1..=700).map(purchase)).await;
    test_feed.record([other("e-1")]).await;
    test_feed.record((701..=1_400).map(purchase)).await;

    let mut subscription = resume(&test_feed.feed, &begin);
    let mut pages = vec![take(&mut subscription).await];
    while pages.last().unwrap()["to"] != 1_402 {
        assert!(
            pages.last().unwrap().get("totals").is_none(),
            "only the last update has totals"
        );
        pages.push(take(&mut subscription).await);
    }
    assert!(pages.len() > 2);
    let mut next = 2;
    for page in &pages {
        assert_eq!(page["from"], next);
        next = page["to"].as_u64().unwrap() + 1;
        let entries = page["entries"].as_array().unwrap();
        assert_eq!(entries.len() as u64, next - page["from"].as_u64().unwrap());
    }
    // The last page has no entry of the first page's meter, but still its totals.
    assert_eq!(pages.last().unwrap()["totals"].as_array().unwrap().len(), 2);
    assert!(until_live(&mut subscription).await.is_empty());

    // Interrupted in the middle: all totals are still due, though the rest has only one meter.
    for page in &pages[..pages.len() - 1] {
        let mut subscription = resume(&test_feed.feed, page["position"].as_str().unwrap());
        let mut last = take(&mut subscription).await;
        while last["to"] != 1_402 {
            last = take(&mut subscription).await;
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
    let test_feed = TestFeed::open();
    test_feed
        .record([Event::consumption("e", "alice", "7", "kWh")])
        .await;
    let mut subscription = test_feed
        .feed
        .subscribe(alice(), SubscribeOptions::default());
    until_live(&mut subscription).await;
    test_feed.record((0..1_000).map(purchase)).await;
    let mut pages = vec![take(&mut subscription).await];
    while pages.last().unwrap()["to"] != 1_001 {
        assert!(pages.last().unwrap().get("totals").is_none());
        pages.push(take(&mut subscription).await);
    }
    assert!(pages.len() > 1);
    assert_eq!(pages.last().unwrap()["totals"].as_array().unwrap().len(), 2);
}

/// A live reader that lags behind by this many commits of one entry each: its first message, and those that
/// follow until it has everything.
async fn lag(commits: u32) -> Vec<Value> {
    let test_feed = TestFeed::open();
    let mut subscription = test_feed
        .feed
        .subscribe(alice(), SubscribeOptions::default());
    until_live(&mut subscription).await;
    test_feed
        .record([Event::consumption("e", "alice", "7", "kWh")])
        .await;
    for id in 2..=commits {
        test_feed.record([purchase(id)]).await;
    }
    let mut pages = vec![take(&mut subscription).await];
    while pages.last().unwrap()["to"] != commits {
        pages.push(take(&mut subscription).await);
    }
    pages
}

#[tokio::test]
async fn a_replay_that_meets_the_live_updates_still_owes_all_totals() {
    let first = lag(700).await[0]["to"].as_u64().unwrap();
    // So that the update after the first page is one that live readers got.
    let pages = lag(u32::try_from(first).unwrap() + 3).await;
    assert_eq!(pages[0]["to"], first);
    assert!(pages[0].get("totals").is_none());
    let told = pages[1..]
        .iter()
        .flat_map(|page| page["totals"].as_array().into_iter().flatten());
    assert!(
        told.into_iter().any(|totals| totals["unit"] == "kWh"),
        "never delivered"
    );
}

#[tokio::test]
async fn five_thousand_behind_is_replayed_and_one_more_is_too_far() {
    let test_feed = TestFeed::open();
    test_feed.record([purchase(0)]).await;
    let first = position(&test_feed.feed).await;
    for thousand in 0..REPLAY_MAX / 1_000 {
        let begin = thousand * 1_000 + 1;
        test_feed.record((begin..begin + 1_000).map(purchase)).await;
    }
    let types = until_live(&mut resume(&test_feed.feed, &first)).await;
    assert!(types.iter().all(|name| name == "update"), "{types:?}");
    test_feed.record([purchase(REPLAY_MAX + 1)]).await;
    let types = until_live(&mut resume(&test_feed.feed, &first)).await;
    assert_eq!(types, ["snapshot too_far"]);
}

#[tokio::test]
async fn another_local_day_is_a_rollover_and_comes_once() {
    let test_feed = TestFeed::open();
    let zone = ProfileChange {
        time_zone: Some("Asia/Shanghai".to_owned()),
        ..ProfileChange::default()
    };
    test_feed.feed.set_profile(&alice(), zone).await.unwrap();
    test_feed.record([purchase(1)]).await;
    let evening = position(&test_feed.feed).await;
    // It is 8 o'clock in that zone: midnight in UTC passes without a rollover.
    test_feed.wait(SignedDuration::from_mins(16 * 60 - 1));
    assert!(
        until_live(&mut resume(&test_feed.feed, &evening))
            .await
            .is_empty()
    );
    test_feed.wait(SignedDuration::from_mins(1));
    let mut subscription = resume(&test_feed.feed, &evening);
    let rollover = take(&mut subscription).await;
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
    assert!(until_live(&mut subscription).await.is_empty());
    assert!(
        until_live(&mut resume(&test_feed.feed, morning))
            .await
            .is_empty()
    );

    // Also behind by entries: the last update brings the totals of every meter.
    test_feed
        .record([Event::consumption("e", "alice", "7", "kWh")])
        .await;
    let mut subscription = resume(&test_feed.feed, &evening);
    assert_eq!(
        take(&mut subscription).await["totals"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert!(until_live(&mut subscription).await.is_empty());
}

#[tokio::test]
async fn a_live_readers_first_update_of_a_day_has_every_meters_totals() {
    let test_feed = TestFeed::open();
    test_feed
        .record([purchase(1), Event::consumption("e-1", "alice", "7", "kWh")])
        .await;
    let mut subscription = test_feed
        .feed
        .subscribe(alice(), SubscribeOptions::default());
    until_live(&mut subscription).await;
    test_feed.wait(SignedDuration::from_hours(24));
    test_feed.record([purchase(2)]).await;
    let totals = take(&mut subscription).await["totals"].clone();
    let days: Vec<&Value> = totals
        .as_array()
        .unwrap()
        .iter()
        .map(|t| &t["day"]["amount"])
        .collect();
    assert_eq!(days, ["1.50", "0"]);
    test_feed.record([purchase(3)]).await;
    assert_eq!(
        take(&mut subscription).await["totals"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn an_edited_profile_is_a_snapshot() {
    let test_feed = TestFeed::open();
    test_feed.record([purchase(1)]).await;
    let before = position(&test_feed.feed).await;
    let change = ProfileChange {
        name: Some("Alice".to_owned()),
        ..ProfileChange::default()
    };
    test_feed.feed.set_profile(&alice(), change).await.unwrap();
    let types = until_live(&mut resume(&test_feed.feed, &before)).await;
    assert_eq!(types, ["snapshot profile_changed"]);
    let after = position(&test_feed.feed).await;
    assert!(
        until_live(&mut resume(&test_feed.feed, &after))
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn a_position_of_another_epoch_is_a_snapshot() {
    let other = position(&TestFeed::open().feed).await;
    let types = until_live(&mut resume(&TestFeed::open().feed, other)).await;
    assert_eq!(types, ["snapshot epoch_changed"]);
}

#[tokio::test]
async fn a_position_that_is_none_is_a_snapshot() {
    let test_feed = TestFeed::open();
    test_feed
        .record([Event::consumption("b", "bob", "1", "CNY")])
        .await;
    let bob = Account::parse("bob").unwrap();
    let bobs = test_feed
        .feed
        .snapshot(&bob, 0)
        .await
        .unwrap()
        .position()
        .to_string();
    let own = position(&test_feed.feed).await;
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
        let types = until_live(&mut resume(&test_feed.feed, &forged)).await;
        assert_eq!(types, ["snapshot bad_position"]);
    }
}

#[tokio::test]
async fn a_slow_reader_of_totals_ends_in_the_same_state() {
    let test_feed = TestFeed::open();
    let options = |mode| SubscribeOptions {
        mode,
        ..SubscribeOptions::default()
    };
    let mut slow = test_feed.feed.subscribe(alice(), options(Mode::Totals));
    let mut whole = test_feed.feed.subscribe(alice(), options(Mode::Entries));
    until_live(&mut slow).await;
    until_live(&mut whole).await;
    for id in 0..40 {
        test_feed.record([purchase(id)]).await;
    }
    test_feed
        .record([Event::reversal("r", "alice", "p-7")])
        .await;
    test_feed
        .record([Event::adjustment("a", "alice", "-0.25", "CNY", "goodwill")])
        .await;
    for id in 40..80 {
        test_feed.record([purchase(id)]).await;
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

    // A single waiting commit is an ordinary update.
    test_feed.record([purchase(80)]).await;
    let update = take(&mut slow).await;
    assert!(update.get("merged").is_none());
    assert_eq!(update["entries"].as_array().unwrap().len(), 1);
}
