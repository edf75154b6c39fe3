//! The feed: what is appended is what subscribers get.

use futures_util::{FutureExt, StreamExt};
use tallycast::{
    Feed, Memory, Sqlite, SubscribeOptions,
    domain::ProfileChange,
    feed::{Interrupted, MessageKind, Status},
    ledger::Ledger,
};

use super::append::purchase;
use crate::support::test_feed::{alice, json, take};

async fn follows_and_resumes(ledger: &dyn Ledger) {
    let feed = Feed::start(ledger).unwrap();
    let receipt = feed.append(purchase(1, "12.50")).await.unwrap();
    assert_eq!((receipt.status, receipt.offset), (Status::Recorded, 1));

    let mut subscription = feed.subscribe(alice(), SubscribeOptions::default());
    let snapshot = take(&mut subscription).await;
    assert_eq!(snapshot["type"], "snapshot");
    assert_eq!(snapshot["reason"], "initial");
    assert_eq!(snapshot["totals"][0]["all"]["amount"], "12.50");
    assert_eq!(snapshot["totals"][0]["day"]["categories"]["food"], "12.50");
    assert_eq!(take(&mut subscription).await["type"], "live");

    feed.append(purchase(2, "0.125")).await.unwrap();
    let update = take(&mut subscription).await;
    assert_eq!((&update["from"], &update["to"]), (&2.into(), &2.into()));
    assert_eq!(update["totals"][0]["all"]["amount"], "12.625");
    assert_eq!(update["entries"][0]["total"], "12.625");
    let position = update["position"].as_str().unwrap().to_owned();
    drop(subscription);

    feed.append(purchase(3, "1")).await.unwrap();
    let after = SubscribeOptions {
        after: Some(position),
        ..Default::default()
    };
    let mut subscription = feed.subscribe(alice(), after);
    let update = take(&mut subscription).await;
    assert_eq!(
        (&update["type"], &update["from"]),
        (&"update".into(), &3.into())
    );
    assert_eq!(take(&mut subscription).await["type"], "live");
}

#[tokio::test]
async fn a_subscriber_follows_and_resumes_in_memory() {
    follows_and_resumes(&Memory::new()).await;
}

#[tokio::test]
async fn a_subscriber_follows_and_resumes_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Sqlite::open(folder.path().join("ledger.db")).unwrap();
    follows_and_resumes(&ledger).await;
}

#[tokio::test]
async fn a_message_that_was_not_applied_comes_again() {
    let feed = Feed::start(&Memory::new()).unwrap();
    let mut subscription = feed.subscribe(alice(), SubscribeOptions::default());
    let first = subscription.next().await.unwrap();
    let again = subscription.next().await.unwrap();
    assert_eq!(json(&first), json(&again));
    subscription.applied(&again);
    assert_eq!(subscription.next().await.unwrap().kind(), MessageKind::Live);
}

#[tokio::test]
async fn an_edited_profile_reaches_an_open_subscriber_as_a_snapshot() {
    let feed = Feed::start(&Memory::new()).unwrap();
    let mut subscription = feed.subscribe(alice(), SubscribeOptions::default());
    take(&mut subscription).await;
    take(&mut subscription).await;
    let change = ProfileChange {
        time_zone: Some("Asia/Shanghai".to_owned()),
        ..Default::default()
    };
    feed.set_profile(&alice(), change).await.unwrap();
    let snapshot = take(&mut subscription).await;
    assert_eq!(snapshot["reason"], "profile_changed");
    assert_eq!(snapshot["time_zone"], "Asia/Shanghai");
}

#[tokio::test]
async fn a_stream_yields_each_message_once_and_moves_its_own_position() {
    let feed = Feed::start(&Memory::new()).unwrap();
    feed.append(purchase(1, "1")).await.unwrap();
    let mut subscription = feed.subscribe(alice(), SubscribeOptions::default());
    assert_eq!(subscription.position(), None);
    for expected in ["snapshot", "live"] {
        let message = StreamExt::next(&mut subscription).await.unwrap().unwrap();
        assert_eq!(message.name(), expected);
        assert_eq!(subscription.position(), Some(message.position()));
    }
    feed.append(purchase(2, "1")).await.unwrap();
    let update = StreamExt::next(&mut subscription).await.unwrap().unwrap();
    assert_eq!(json(&update)["from"], 2);
    feed.erase(&alice()).await.unwrap();
    let erased = StreamExt::next(&mut subscription).await.unwrap();
    assert_eq!(erased.unwrap_err(), Interrupted::Erased);
    let snapshot = StreamExt::next(&mut subscription).await.unwrap().unwrap();
    assert_eq!(json(&snapshot)["offset"], 0);
}

#[tokio::test]
async fn a_stream_ends_after_it_has_reported_a_closed_ledger() {
    let feed = Feed::start(&Memory::new()).unwrap();
    let subscription = feed.subscribe(alice(), SubscribeOptions::default());
    feed.close().await;
    let items: Vec<_> = subscription.collect().await;
    assert_eq!(items.len(), 1);
    assert!(items[0].is_err());
}

#[tokio::test]
async fn a_wait_that_was_given_up_loses_no_message() {
    let feed = Feed::start(&Memory::new()).unwrap();
    let mut subscription = feed.subscribe(alice(), SubscribeOptions::default());
    take(&mut subscription).await;
    take(&mut subscription).await;
    for id in 1..=3 {
        assert!(subscription.next().now_or_never().is_none());
        assert!(StreamExt::next(&mut subscription).now_or_never().is_none());
        feed.append(purchase(id, "1")).await.unwrap();
        // Not applied, so it comes again.
        for _ in 0..2 {
            let update = subscription.next().await.unwrap();
            assert_eq!(json(&update)["from"], id);
        }
        assert_eq!(take(&mut subscription).await["from"], id);
    }
}

#[tokio::test]
async fn what_was_read_before_an_erasure_is_not_delivered_after_it() {
    let feed = Feed::start(&Memory::new()).unwrap();
    feed.append(purchase(1, "1")).await.unwrap();
    let mut subscription = feed.subscribe(alice(), SubscribeOptions::default());
    // The read has begun, and on a fast thread it may be done.
    let _begun = subscription.next().now_or_never();
    feed.erase(&alice()).await.unwrap();
    let erased = subscription.next().await;
    assert_eq!(erased.unwrap_err(), Interrupted::Erased);
    assert_eq!(take(&mut subscription).await["offset"], 0);
}
