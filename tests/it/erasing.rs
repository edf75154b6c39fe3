//! What becomes of those who follow an account that is erased.

use jiff::SignedDuration;
use serde_json::{Value, json};
use tallycast::{Account, Event, Interrupted, SubscribeOptions, Subscription};

use super::desk::Desk;

fn spend(id: &str) -> Event {
    Event::consumption(id, "alice", "1", "CNY")
}

async fn take(phone: &mut Subscription) -> Value {
    let message = phone.next().await.unwrap();
    phone.applied(&message);
    serde_json::from_str(message.json().get()).unwrap()
}

#[tokio::test]
async fn who_stays_through_an_erasure_sees_the_new_account_alone() {
    let desk = Desk::open();
    let alice = Account::parse("alice").unwrap();
    let mut phone = desk
        .feed
        .subscribe(alice.clone(), SubscribeOptions::default());
    assert_eq!(take(&mut phone).await["type"], "snapshot");
    assert_eq!(take(&mut phone).await["type"], "live");
    desk.record([spend("old"), spend("older")]).await;
    assert_eq!(take(&mut phone).await["to"], 2);

    desk.feed.erase(&alice).await.unwrap();
    assert_eq!(phone.next().await.unwrap_err(), Interrupted::Erased);
    let empty = take(&mut phone).await;
    assert_eq!(empty["reason"], "bad_position");
    assert_eq!(
        (&empty["offset"], &empty["recent"]),
        (&json!(0), &json!([]))
    );
    assert_eq!(take(&mut phone).await["type"], "live");
    desk.record([spend("new")]).await;
    let update = take(&mut phone).await;
    assert_eq!((&update["from"], &update["to"]), (&json!(1), &json!(1)));
    assert_eq!(update["entries"][0]["id"], "new");
    desk.wait(SignedDuration::from_hours(24));
    assert_eq!(take(&mut phone).await["type"], "rollover");
}
