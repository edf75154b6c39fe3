//! A minimal app by the contract: it handles `snapshot`, `update` and `rollover`. Each message is
//! compared with the model.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{Timestamp, civil::Date};
use serde_json::Value;
use tallycast::{
    Message, Subscription,
    feed::{Interrupted, Mode},
};

use crate::support::model::Model;

/// The contract's bound on a feed message.
pub(crate) const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// How long a due message may take. Without a bound, a missing one would hang the test.
pub(crate) const DUE: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(crate) struct CheckedSubscriber {
    pub(crate) subscription: Option<Subscription>,
    pub(crate) mode: Mode,
    pub(crate) position: Option<String>,
    /// Whether the account was erased and the subscription has not reported it yet.
    pub(crate) is_erased: bool,
    is_live: bool,
    pub(crate) offset: u64,
    revision: u32,
    generation: u32,
    /// The local date of the totals it shows, in days since 1970.
    day: i32,
    pub(crate) totals: BTreeMap<(String, String), Value>,
    entries: BTreeMap<u64, Value>,
}

impl CheckedSubscriber {
    pub(crate) fn connect(&mut self, subscription: Subscription, mode: Mode) {
        self.subscription = Some(subscription);
        self.is_live = false;
        self.is_erased = false;
        self.mode = mode;
    }

    /// Whether a message is due.
    pub(crate) fn lacks(&self, model: &Model, now: Timestamp) -> bool {
        !self.is_live
            || self.is_erased
            || self.is_lost(model)
            || self.offset < model.head()
            || self.revision != model.revision
            || self.day != day_number(model.date(now))
    }

    /// Whether its position is of an account that was erased since. Before the first entry, all accounts
    /// of one name are alike.
    fn is_lost(&self, model: &Model) -> bool {
        let is_of_absent = self.generation == 0 && self.offset == 0;
        self.generation != model.generation && !is_of_absent
    }

    /// Takes the next message, which is due.
    pub(crate) async fn take(&mut self, model: &Model, now: Timestamp) {
        let subscription = self.subscription.as_mut().unwrap();
        let next = tokio::time::timeout(DUE, subscription.next());
        match next.await.expect("a message is due and does not come") {
            Ok(message) => {
                assert!(!self.is_erased, "the erasure comes first");
                subscription.applied(&message);
                self.apply(&message, model, now);
            }
            Err(Interrupted::Erased) => {
                assert!(self.is_erased, "an erasure was reported without one");
                self.is_erased = false;
                self.is_live = false;
            }
            Err(other) => panic!("{other}"),
        }
    }

    fn apply(&mut self, message: &Message, model: &Model, now: Timestamp) {
        let json = message.json().get();
        assert!(
            json.len() <= MESSAGE_BYTES_MAX,
            "a message of {} bytes",
            json.len()
        );
        let json: Value = serde_json::from_str(json).unwrap();
        assert_eq!(json["type"], message.name());
        assert_eq!(json["position"], message.position().to_string());
        let before = self.position.replace(message.position().to_string());
        let (shown, revision) = stamp(&message.position().to_string());
        let day = std::mem::replace(&mut self.day, shown);
        let number = |field: &str| json[field].as_u64().unwrap();
        match message.name() {
            "snapshot" => {
                let reason = json["reason"].as_str().unwrap();
                let expected = match before {
                    None => "initial",
                    Some(_) if self.is_lost(model) => "bad_position",
                    Some(_) if self.revision != model.revision => "profile_changed",
                    Some(_) => "none: it was needless",
                };
                assert_eq!(reason, expected);
                check_profile(&json, model);
                self.offset = number("offset");
                self.totals.clear();
                self.entries.clear();
                self.show(&json["recent"]);
                self.replace(&json["totals"]);
            }
            "update" => {
                assert_eq!(number("from"), self.offset + 1, "a gap or a repeat");
                let shown = self.show(&json["entries"]);
                let merged = json["merged"].as_u64().unwrap_or(0);
                assert_eq!(shown + merged, number("to") - self.offset);
                self.check_merged(self.offset, number("to"), model);
                self.offset = number("to");
                self.replace(&json["totals"]);
            }
            "rollover" => {
                assert_ne!(day, self.day, "a rollover within one day");
                assert_eq!(number("offset"), self.offset);
                assert_eq!(json["totals"], model.totals(self.offset, now));
                self.replace(&json["totals"]);
            }
            "live" => {
                assert_eq!(number("offset"), self.offset);
                assert!(!self.is_live, "live twice");
                self.is_live = true;
            }
            other => panic!("{other} is new"),
        }
        self.revision = revision;
        self.generation = model.generation;
    }

    /// Only consumption may be merged, and only if the app asked for it.
    fn check_merged(&self, from: u64, to: u64, model: &Model) {
        for offset in from + 1..=to {
            let sent = &model.entries[usize::try_from(offset - 1).unwrap()].sent;
            let may_lack = self.mode == Mode::Totals && sent.kind == "consumption";
            assert!(
                may_lack || self.entries.contains_key(&offset),
                "{offset} was left out"
            );
        }
    }

    fn show(&mut self, entries: &Value) -> u64 {
        let entries = entries.as_array().unwrap();
        for entry in entries {
            self.entries
                .insert(entry["offset"].as_u64().unwrap(), entry.clone());
        }
        u64::try_from(entries.len()).unwrap()
    }

    fn replace(&mut self, totals: &Value) {
        for pair in totals.as_array().into_iter().flatten() {
            let text = |field: &str| pair[field].as_str().unwrap().to_owned();
            self.totals
                .insert((text("meter"), text("unit")), pair.clone());
        }
    }
}

fn check_profile(snapshot: &Value, model: &Model) {
    let budgets: Vec<Value> = model.budgets.iter().map(|budget| budget.json()).collect();
    assert_eq!(snapshot["budgets"], Value::from(budgets));
    assert_eq!(snapshot["time_zone"], *model.zone);
}

fn day_number(date: Date) -> i32 {
    (date - Date::constant(1970, 1, 1)).get_days()
}

/// The local date and the profile's revision in a position.
fn stamp(position: &str) -> (i32, u32) {
    let bytes = URL_SAFE_NO_PAD.decode(position).unwrap();
    let part = |at: usize| bytes[at..at + 4].try_into().unwrap();
    (i32::from_be_bytes(part(26)), u32::from_be_bytes(part(30)))
}
