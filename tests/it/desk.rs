//! A feed whose clock stands still until it is moved, and short ways to ask it.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tallycast::{
    Account, Clock, ClockHand, Event, Feed, Ledger, Memory, Outcome, Profile, ProfileChange,
};

use super::world::World;

pub(super) const RECORDED: &str = "recorded";

/// A ledger whose clock stands still until it is moved.
pub(super) struct Desk {
    pub(super) feed: Feed,
    hand: ClockHand,
    next: u32,
}

impl Desk {
    /// The last day of October 2026 begins, in UTC.
    pub(super) const BEGIN: Timestamp = World::BEGIN;

    pub(super) fn open() -> Self {
        Self::open_on(&Memory::new())
    }

    pub(super) fn open_on(ledger: &dyn Ledger) -> Self {
        let (clock, hand) = Clock::by_hand(Self::BEGIN);
        let feed = Feed::start_at(ledger, clock).unwrap();
        Self {
            feed,
            hand,
            next: 0,
        }
    }

    pub(super) fn wait(&self, time: SignedDuration) {
        self.hand.advance(time);
    }

    pub(super) fn set_clock(&self, now: &str) {
        self.hand.set(now.parse().unwrap());
    }

    /// Edits alice's profile.
    pub(super) async fn edit(&self, change: ProfileChange) -> Profile {
        let alice = Account::parse("alice").unwrap();
        self.feed
            .set_profile(&alice, change)
            .await
            .unwrap()
            .unwrap()
    }

    /// The code that an event in JSON gets.
    pub(super) async fn answer(&self, json: &str) -> &'static str {
        let event = match Event::from_json(json.as_bytes()) {
            Ok(event) => event,
            Err(invalid) => return invalid.code(),
        };
        match self.feed.append(event).await {
            Ok(_) => RECORDED,
            Err(error) => error.code(),
        }
    }

    /// The answer to an ordinary event of a new id, with some fields set to this JSON (or, to an empty
    /// text, left out).
    pub(super) async fn answer_with(&mut self, fields: &[(&str, &str)]) -> &'static str {
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

    pub(super) async fn head(&self) -> u64 {
        self.snapshot().await["offset"].as_u64().unwrap()
    }

    pub(super) async fn snapshot(&self) -> Value {
        let alice = Account::parse("alice").unwrap();
        let message = self.feed.snapshot(&alice, 1).await.unwrap();
        serde_json::from_str(message.json().get()).unwrap()
    }

    /// Appends these, all of which are recorded.
    pub(super) async fn record(&self, events: impl IntoIterator<Item = Event>) {
        let events = events.into_iter().map(Ok).collect();
        for outcome in self.feed.append_all(events).await.unwrap() {
            assert!(matches!(outcome, Outcome::Recorded(_)), "{outcome:?}");
        }
    }
}
