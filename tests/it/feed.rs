//! The feed: what is appended is what subscribers get.

use serde_json::Value;
use tallycast::{
    Account, Event, Feed, Ledger, Memory, Message, MessageKind, ProfileChange, Sqlite, Status,
    SubscribeOptions, Subscription,
};

fn json(message: &Message) -> Value {
    serde_json::from_str(message.json().get()).unwrap()
}

async fn take(subscription: &mut Subscription) -> Value {
    let message = subscription.next().await.unwrap();
    subscription.applied(&message);
    json(&message)
}

fn alice() -> Account {
    Account::parse("alice").unwrap()
}

fn purchase(id: u32, amount: &str) -> Event {
    Event::consumption(format!("order-{id}"), "alice", amount, "CNY").with_category("food")
}

async fn follows_and_resumes(ledger: &dyn Ledger) {
    let feed = Feed::start(ledger).unwrap();
    let receipt = feed.append(purchase(1, "12.50")).await.unwrap();
    assert_eq!((receipt.status, receipt.offset), (Status::Recorded, 1));

    let mut phone = feed.subscribe(alice(), SubscribeOptions::default());
    let snapshot = take(&mut phone).await;
    assert_eq!(snapshot["type"], "snapshot");
    assert_eq!(snapshot["reason"], "initial");
    assert_eq!(snapshot["totals"][0]["all"]["amount"], "12.50");
    assert_eq!(snapshot["totals"][0]["day"]["categories"]["food"], "12.50");
    assert_eq!(take(&mut phone).await["type"], "live");

    feed.append(purchase(2, "0.125")).await.unwrap();
    let update = take(&mut phone).await;
    assert_eq!((&update["from"], &update["to"]), (&2.into(), &2.into()));
    assert_eq!(update["totals"][0]["all"]["amount"], "12.625");
    assert_eq!(update["entries"][0]["total"], "12.625");
    let position = update["position"].as_str().unwrap().to_owned();
    drop(phone);

    feed.append(purchase(3, "1")).await.unwrap();
    let after = SubscribeOptions {
        after: Some(position),
        ..Default::default()
    };
    let mut phone = feed.subscribe(alice(), after);
    let update = take(&mut phone).await;
    assert_eq!(
        (&update["type"], &update["from"]),
        (&"update".into(), &3.into())
    );
    assert_eq!(take(&mut phone).await["type"], "live");
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
    let mut phone = feed.subscribe(alice(), SubscribeOptions::default());
    let first = phone.next().await.unwrap();
    let again = phone.next().await.unwrap();
    assert_eq!(json(&first), json(&again));
    phone.applied(&again);
    assert_eq!(phone.next().await.unwrap().kind(), MessageKind::Live);
}

#[tokio::test]
async fn the_same_event_again_is_a_duplicate_and_another_content_a_conflict() {
    let feed = Feed::start(&Memory::new()).unwrap();
    let first = feed.append(purchase(1, "1.5")).await.unwrap();
    let again = feed.append(purchase(1, "1.50")).await.unwrap();
    assert_eq!(again.status, Status::Duplicate);
    assert_eq!(
        (again.offset, again.position, again.total),
        (first.offset, first.position, first.total)
    );
    let other = feed.append(purchase(1, "1.51")).await.unwrap_err();
    assert_eq!(other.code(), "conflict");
}

#[tokio::test]
async fn an_edited_profile_reaches_an_open_subscriber_as_a_snapshot() {
    let feed = Feed::start(&Memory::new()).unwrap();
    let mut phone = feed.subscribe(alice(), SubscribeOptions::default());
    take(&mut phone).await;
    take(&mut phone).await;
    let change = ProfileChange {
        time_zone: Some("Asia/Shanghai".to_owned()),
        ..Default::default()
    };
    feed.set_profile(&alice(), change).await.unwrap().unwrap();
    let snapshot = take(&mut phone).await;
    assert_eq!(snapshot["reason"], "profile_changed");
    assert_eq!(snapshot["time_zone"], "Asia/Shanghai");
}
