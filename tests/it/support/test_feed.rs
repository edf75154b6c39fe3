//! A feed with a manual clock, and short ways to use it.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tallycast::{
    Account, Event, Feed, Memory, Message, Outcome, Subscription,
    domain::{Profile, ProfileChange},
    feed::{Clock, ManualClock},
    ledger::Ledger,
};
use tokio::time::timeout;

use crate::support::{SOON, model::harness::ModelHarness};

pub(crate) const RECORDED: &str = "recorded";

/// A feed with a manual clock.
pub(crate) struct TestFeed {
    pub(crate) feed: Feed,
    hand: ManualClock,
    next: u32,
}

impl TestFeed {
    /// The start of the last day of October 2026, in UTC.
    pub(crate) const BEGIN: Timestamp = ModelHarness::BEGIN;

    pub(crate) fn open() -> Self {
        Self::open_on(&Memory::new())
    }

    pub(crate) fn open_on(ledger: &dyn Ledger) -> Self {
        let (clock, hand) = Clock::manual(Self::BEGIN);
        let feed = Feed::start_at(ledger, clock).unwrap();
        Self {
            feed,
            hand,
            next: 0,
        }
    }

    pub(crate) fn wait(&self, time: SignedDuration) {
        self.hand.advance(time);
    }

    pub(crate) fn set_clock(&self, now: &str) {
        self.hand.set(now.parse().unwrap());
    }

    /// Edits alice's profile.
    pub(crate) async fn edit(&self, change: ProfileChange) -> Profile {
        let edited = self.feed.set_profile(&alice(), change).await;
        edited.unwrap()
    }

    /// Appends an event in JSON; returns the code of the answer.
    pub(crate) async fn answer(&self, json: &str) -> &'static str {
        let event = match Event::from_json(json.as_bytes()) {
            Ok(event) => event,
            Err(invalid) => return invalid.code(),
        };
        match self.feed.append(event).await {
            Ok(_) => RECORDED,
            Err(error) => error.code(),
        }
    }

    /// The answer to an ordinary event with a new id, with some fields set to this JSON; an empty text
    /// removes the field.
    pub(crate) async fn answer_with(&mut self, fields: &[(&str, &str)]) -> &'static str {
        self.next += 1;
        let id = format!("\"e-{}\"", self.next);
        let base = [
            ("id", id.as_str()),
            ("account", "\"alice\""),
            ("amount", "\"1\""),
            ("unit", "\"CNY\""),
        ];
        let mut all: Vec<(&str, &str)> = base.to_vec();
        for (name, value) in fields {
            all.retain(|(other, _)| other != name);
            all.push((name, value));
        }
        all.retain(|(_, value)| !value.is_empty());
        let fields: Vec<String> = all.iter().map(|(n, v)| format!("\"{n}\":{v}")).collect();
        self.answer(&format!("{{{}}}", fields.join(","))).await
    }

    pub(crate) async fn head(&self) -> u64 {
        self.snapshot().await["offset"].as_u64().unwrap()
    }

    pub(crate) async fn snapshot(&self) -> Value {
        json(&self.feed.snapshot(&alice(), 1).await.unwrap())
    }

    /// Appends these events, all of which must be recorded.
    pub(crate) async fn record(&self, events: impl IntoIterator<Item = Event>) {
        let events = events.into_iter().collect();
        for outcome in self.feed.append_all(events).await.unwrap() {
            assert!(matches!(outcome, Outcome::Recorded(_)), "{outcome:?}");
        }
    }
}

pub(crate) fn alice() -> Account {
    Account::parse("alice").unwrap()
}

/// A message as the client gets it.
pub(crate) fn json(message: &Message) -> Value {
    serde_json::from_str(message.json().get()).unwrap()
}

/// Takes the next message, and applies it.
pub(crate) async fn take(subscription: &mut Subscription) -> Value {
    let message = timeout(SOON, subscription.next()).await;
    let message = message.expect("a message in time").unwrap();
    subscription.applied(&message);
    json(&message)
}
