//! What subscribers of an erased account get.

use jiff::SignedDuration;
use serde_json::json;
use tallycast::{Event, SubscribeOptions, feed::Interrupted};

use crate::support::test_feed::{TestFeed, alice, take};

fn spend(id: &str) -> Event {
    Event::consumption(id, "alice", "1", "CNY")
}

#[tokio::test]
async fn who_stays_through_an_erasure_sees_the_new_account_alone() {
    let test_feed = TestFeed::open();
    let alice = alice();
    let mut subscription = test_feed
        .feed
        .subscribe(alice.clone(), SubscribeOptions::default());
    assert_eq!(take(&mut subscription).await["type"], "snapshot");
    assert_eq!(take(&mut subscription).await["type"], "live");
    test_feed.record([spend("old"), spend("older")]).await;
    assert_eq!(take(&mut subscription).await["to"], 2);

    test_feed.feed.erase(&alice).await.unwrap();
    assert_eq!(subscription.next().await.unwrap_err(), Interrupted::Erased);
    let empty = take(&mut subscription).await;
    assert_eq!(empty["reason"], "bad_position");
    assert_eq!(
        (&empty["offset"], &empty["recent"]),
        (&json!(0), &json!([]))
    );
    assert_eq!(take(&mut subscription).await["type"], "live");
    test_feed.record([spend("new")]).await;
    let update = take(&mut subscription).await;
    assert_eq!((&update["from"], &update["to"]), (&json!(1), &json!(1)));
    assert_eq!(update["entries"][0]["id"], "new");
    test_feed.wait(SignedDuration::from_hours(24));
    assert_eq!(take(&mut subscription).await["type"], "rollover");
}
