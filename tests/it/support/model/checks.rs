//! The comparisons of a [`ModelHarness`] with its model.

use jiff::{Timestamp, civil::Date};
use serde_json::{Value, json};
use tallycast::{Account, SubscribeOptions, domain::Period};

use crate::support::model::{
    ModelEntry,
    harness::{ACCOUNTS, ModelHarness},
};

/// All dates on which anything happens.
const EVER: (Date, Date) = (Date::constant(1990, 1, 1), Date::constant(2200, 1, 1));

impl ModelHarness {
    /// Compares an account's snapshot and its past totals.
    pub(crate) async fn check_account(&mut self, account: usize) {
        let (model, now) = (&self.models[account], self.now());
        let snapshot = self.snapshot(account).await;
        assert_eq!(snapshot["offset"], model.head());
        assert_eq!(snapshot["time_zone"], *model.zone);
        assert_eq!(snapshot["totals"], model.totals(model.head(), now));
        let days = self.past(account, Period::Day, EVER).await;
        assert_eq!(days, model.past(false, EVER.0, EVER.1));
        let months = self.past(account, Period::Month, EVER).await;
        assert_eq!(months, model.past(true, EVER.0, EVER.1));
        check_current(&snapshot["totals"], &days, &months);
        if let Some(entry) = model.entries.last() {
            let some = (model.date(entry.happened), model.date(now));
            let some = (some.0.min(some.1), some.0.max(some.1));
            let days = self.past(account, Period::Day, some).await;
            assert_eq!(days, model.past(false, some.0, some.1));
            let months = self.past(account, Period::Month, some).await;
            assert_eq!(months, model.past(true, some.0, some.1));
        }
        let Value::Array(days) = days else {
            panic!("{days} is no list")
        };
        self.pasts[account] = days;
    }

    async fn past(&self, account: usize, by: Period, (from, to): (Date, Date)) -> Value {
        let name = Account::parse(ACCOUNTS[account]).unwrap();
        let past = self.feed.past_totals(&name, by, from, to).await.unwrap();
        let mut past = serde_json::to_value(past).unwrap();
        let model = &self.models[account];
        assert_eq!(past["offset"], model.head());
        assert_eq!(
            (&past["account"], &past["next"]),
            (&json!(ACCOUNTS[account]), &Value::Null)
        );
        assert_eq!(past["time_zone"], *model.zone);
        past["totals"].take()
    }

    /// A subscriber that has everything shows the current totals.
    pub(crate) fn check_screen(&self, account: usize) {
        let (model, subscriber, now) = (
            &self.models[account],
            &self.subscribers[account],
            self.now(),
        );
        if subscriber.lacks(model, now) {
            return;
        }
        let shown: Vec<&Value> = subscriber.totals.values().collect();
        let expected = model.totals(model.head(), now);
        assert_eq!(
            json!(shown),
            expected,
            "the screen of {}",
            ACCOUNTS[account]
        );
    }

    pub(crate) async fn check_history(&self, account: usize) {
        let entries = &self.histories().await[account];
        let model = &self.models[account];
        assert_eq!(entries.len(), model.entries.len());
        for (index, (json, expected)) in entries.iter().zip(&model.entries).enumerate() {
            let entry: Value = serde_json::from_str(json).unwrap();
            check_entry(&entry, ACCOUNTS[account], index + 1, expected);
        }
    }

    /// Erased data is in none of the ledger's files, unless it was sent again.
    pub(crate) fn check_traces(&self) {
        let told = format!("{:?}", self.models);
        let erased = self.erased.iter().filter(|text| !told.contains(*text));
        let erased: Vec<_> = erased.collect();
        for file in std::fs::read_dir(self.folder.path()).unwrap() {
            let path = file.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            for text in &erased {
                let is_there = bytes
                    .windows(text.len())
                    .any(|part| part == text.as_bytes());
                assert!(!is_there, "{text} is still in {}", path.display());
            }
        }
    }

    /// Positions of erased accounts are not accepted.
    pub(crate) async fn check_gone(&mut self) {
        let old = self.gone.len().saturating_sub(6);
        self.gone.drain(..old);
        for (account, position) in &self.gone {
            let mut subscription = self.feed.subscribe(
                Account::parse(ACCOUNTS[*account]).unwrap(),
                SubscribeOptions {
                    after: Some(position.clone()),
                    ..SubscribeOptions::default()
                },
            );
            let first = subscription.next().await.unwrap();
            let first: Value = serde_json::from_str(first.json().get()).unwrap();
            assert_eq!(
                (&first["type"], &first["reason"]),
                (&json!("snapshot"), &json!("bad_position"))
            );
        }
    }
}

fn check_entry(entry: &Value, account: &str, offset: usize, expected: &ModelEntry) {
    let sent = &expected.sent;
    let instant = |field: &str| entry[field].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert_eq!(instant("time"), expected.happened);
    assert_eq!(instant("recorded_at"), expected.recorded);
    let mut wanted = json!({
        "offset": offset, "id": expected.key.1, "account": account, "kind": sent.kind,
        "amount": expected.amount.print(), "unit": expected.pair.1, "meter": expected.pair.0,
        "total": expected.total, "time": entry["time"], "recorded_at": entry["recorded_at"],
    });
    let mut optional = |field: &str, value: Option<Value>| {
        if let Some(value) = value {
            wanted[field] = value;
        }
    };
    optional(
        "source",
        (!expected.key.0.is_empty()).then(|| json!(expected.key.0)),
    );
    optional(
        "category",
        expected.category.as_ref().map(|text| json!(text)),
    );
    optional(
        "description",
        sent.description.as_ref().map(|text| json!(text)),
    );
    optional(
        "attributes",
        (!sent.attributes.is_empty()).then(|| json!(sent.attributes)),
    );
    optional(
        "reverses",
        sent.reverses
            .as_ref()
            .map(|(source, id)| match *source == expected.key.0 {
                true => json!(id),
                false => json!({ "source": source, "id": id }),
            }),
    );
    for (field, value) in expected
        .alert
        .iter()
        .flat_map(|alert| alert.as_object().unwrap())
    {
        wanted[field] = value.clone();
    }
    assert_eq!(*entry, wanted);
}

/// The windows of a snapshot are the rows of its day and month.
fn check_current(totals: &Value, days: &Value, months: &Value) {
    for pair in totals.as_array().unwrap() {
        for (window, rows) in [(&pair["day"], days), (&pair["month"], months)] {
            let mut rows = rows.as_array().unwrap().iter();
            let row = rows.find(|row| {
                ["meter", "unit"]
                    .iter()
                    .all(|field| row[field] == pair[field])
                    && row["start"] == window["start"]
            });
            let fields = ["end", "amount", "count", "categories"];
            let of = |of: &Value| fields.map(|field| of[field].clone());
            match row {
                Some(row) => assert_eq!(of(window), of(row)),
                None => assert_eq!(
                    (&window["amount"], &window["count"]),
                    (&json!("0"), &json!(0))
                ),
            }
        }
    }
}
