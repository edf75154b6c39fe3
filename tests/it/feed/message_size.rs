//! No feed message exceeds 256 KiB, whatever an account holds.

use jiff::SignedDuration;
use tallycast::{Account, Event, Memory, Message, SubscribeOptions, Subscription, feed::Mode};

use crate::support::{
    model::subscriber::MESSAGE_BYTES_MAX,
    test_feed::{RECORDED, TestFeed},
};

/// The account name that is longest in JSON.
fn worst() -> String {
    "\"".repeat(128)
}

/// A text of `chars` characters, padded with those that are longest in JSON.
fn escaping(number: usize, chars: usize) -> String {
    format!("{number:\u{1}>chars$}")
}

fn unit(number: usize) -> String {
    format!("{number:𐐀>16}")
}

fn longest(id: usize, pair: usize, category: String) -> Event {
    Event::consumption(
        format!("c-{id}"),
        worst(),
        "999999999999999.999999999",
        unit(pair),
    )
    .with_meter("𐐀".repeat(64))
    .with_category(category)
}

/// An event of the maximum size.
fn heavy(id: usize, kind: &str) -> Event {
    let (amount, why) = ("-999999999999999.999999999", "\u{1}".repeat(500));
    let mut event = match kind {
        "adjustment" => Event::adjustment(format!("h-{id}"), worst(), amount, unit(0), why),
        _ => Event::consumption(format!("h-{id}"), worst(), "1", unit(0)).with_description(why),
    };
    event = event.with_meter("𐐀".repeat(64));
    for number in 0..8 {
        event = event.with_attribute(format!("{number}"), "\u{1}".repeat(256));
    }
    event
}

/// An account whose totals accept no further category.
async fn full() -> TestFeed {
    let test_feed = TestFeed::open();
    let mut id = 0;
    let mut refused = 0;
    for (chars, categories) in [(64, 1), (64, 64), (3, 64)] {
        for pair in 0..32 {
            for number in 0..categories {
                id += 1;
                let event = longest(id, pair, escaping(number, chars));
                match test_feed.feed.append(event).await {
                    Ok(_) => {}
                    Err(error) => {
                        let code = error.code();
                        assert!(
                            ["totals_too_large", "too_many_categories"].contains(&code),
                            "{code}"
                        );
                        refused += 1;
                        break;
                    }
                }
            }
        }
    }
    assert!(refused > 32, "the account is not full");
    // Make the amounts of existing categories longer.
    for pair in 0..32 {
        for number in 0..8 {
            id += 1;
            let event = longest(id, pair, escaping(number, 64));
            drop(test_feed.feed.append(event).await);
        }
    }
    test_feed
}

struct Measured {
    largest: usize,
    count: usize,
}

impl Measured {
    fn new() -> Self {
        Self {
            largest: 0,
            count: 0,
        }
    }

    fn see(&mut self, message: &Message) {
        let bytes = message.json().get().len();
        assert!(
            bytes <= MESSAGE_BYTES_MAX,
            "{}: {bytes} bytes",
            message.name()
        );
        self.largest = self.largest.max(bytes);
        self.count += 1;
    }

    async fn follow(&mut self, reader: &mut Subscription, to: u64) {
        loop {
            let message = reader.next().await.unwrap();
            reader.applied(&message);
            self.see(&message);
            if message.name() == "live"
                || message.position().offset() == to && message.name() == "update"
            {
                return;
            }
        }
    }
}

#[tokio::test]
async fn the_heaviest_account_stays_below_256_kib_in_every_message() {
    let test_feed = full().await;
    let account = Account::parse(&worst()).unwrap();
    let follow = |after: Option<String>, mode| {
        let options = SubscribeOptions {
            after,
            recent: 100,
            mode,
        };
        test_feed.feed.subscribe(account.clone(), options)
    };
    let mut seen = Measured::new();
    let mut live = follow(None, Mode::Entries);
    let mut merging = follow(None, Mode::Totals);
    seen.follow(&mut live, u64::MAX).await;
    seen.follow(&mut merging, u64::MAX).await;
    let before = test_feed
        .feed
        .snapshot(&account, 0)
        .await
        .unwrap()
        .position()
        .to_string();

    // Every possible number of entries on the last page.
    for round in 0..12 {
        let kind = if round < 8 {
            "adjustment"
        } else {
            "consumption"
        };
        test_feed
            .record((0..24 + round).map(|number| heavy(round * 100 + number, kind)))
            .await;
    }
    let snapshot = test_feed.feed.snapshot(&account, 100).await.unwrap();
    let head = snapshot.position().offset();
    seen.see(&snapshot);
    let shown: serde_json::Value = serde_json::from_str(snapshot.json().get()).unwrap();
    assert!(shown["recent"].as_array().unwrap().len() > 1);
    seen.follow(&mut live, head).await;
    seen.follow(&mut merging, head).await;
    for mode in [Mode::Entries, Mode::Totals] {
        seen.follow(&mut follow(Some(before.clone()), mode), u64::MAX)
            .await;
    }
    let now = snapshot.position().to_string();
    test_feed.wait(SignedDuration::from_hours(1));
    seen.follow(&mut follow(Some(now.clone()), Mode::Entries), u64::MAX)
        .await;
    test_feed.wait(SignedDuration::from_hours(48));
    seen.follow(&mut follow(Some(now), Mode::Entries), u64::MAX)
        .await;
    assert!(
        seen.largest > MESSAGE_BYTES_MAX * 3 / 4,
        "only {} bytes: not the worst case",
        seen.largest
    );
    assert!(seen.count > 100);
}

#[tokio::test]
async fn thirty_two_meters_with_64_short_categories_fit() {
    let test_feed = TestFeed::open_on(&Memory::new());
    for pair in 0..32 {
        test_feed
            .record((0..64).map(|number| {
                Event::consumption(format!("{pair}-{number}"), "alice", "19.99", "CNY")
                    .with_meter(format!("meter-{pair}"))
                    .with_category(format!("category-{number}"))
            }))
            .await;
    }
    let alice = Account::parse("alice").unwrap();
    let mut seen = Measured::new();
    let snapshot = test_feed.feed.snapshot(&alice, 100).await.unwrap();
    seen.see(&snapshot);
    let shown: serde_json::Value = serde_json::from_str(snapshot.json().get()).unwrap();
    let totals = shown["totals"].as_array().unwrap();
    assert_eq!(totals.len(), 32);
    assert!(
        totals
            .iter()
            .all(|t| t["day"]["categories"].as_object().unwrap().len() == 64)
    );
    assert!(shown["recent"].as_array().unwrap().len() > 50);
    let mut test_feed = test_feed;
    assert_eq!(
        test_feed
            .answer_with(&[("meter", "\"meter-0\""), ("category", "\"category-0\"")])
            .await,
        RECORDED
    );
}
