//! Appending events: duplicates, conflicts, and refusals within a batch.

use tallycast::{Event, Feed, Memory, Outcome, feed::Status};

use crate::support::test_feed::TestFeed;

pub(super) fn purchase(id: u32, amount: &str) -> Event {
    Event::consumption(format!("order-{id}"), "alice", amount, "CNY").with_category("food")
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
async fn the_refused_and_the_known_keep_their_places_in_a_batch() {
    let test_feed = TestFeed::open();
    let event = |id: &str, amount: &str| Event::consumption(id, "alice", amount, "CNY");
    let events = vec![
        event("a", "1"),
        event("a", "1.0"),
        event("b", "x"),
        event("a", "2"),
        event("b", "3"),
    ];
    let outcomes = test_feed.feed.append_all(events).await.unwrap();
    let told: Vec<String> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Recorded(receipt) => format!("recorded {}", receipt.offset),
            Outcome::Duplicate(receipt) => format!("duplicate {}", receipt.offset),
            Outcome::Conflict(_) => "conflict".to_owned(),
            Outcome::Rejected(invalid) => invalid.code().to_owned(),
            other => format!("{other:?}"),
        })
        .collect();
    let expected = [
        "recorded 1",
        "duplicate 1",
        "invalid_amount",
        "conflict",
        "recorded 2",
    ];
    assert_eq!(told, expected);
}
