//! Budgets, and the alerts that they cause.

use jiff::SignedDuration;
use serde_json::{Value, json};
use tallycast::{
    Event, Memory, Sqlite, SubscribeOptions,
    domain::{Budget, Period, ProfileChange},
    ledger::Ledger,
};

use crate::support::test_feed::{TestFeed, alice, take};

fn monthly(limit: &str) -> Budget {
    Budget::new("all", Period::Month, limit.parse().unwrap(), "CNY").with_thresholds([50, 80, 100])
}

fn budgets(budgets: impl IntoIterator<Item = Budget>) -> ProfileChange {
    ProfileChange {
        budgets: budgets.into_iter().collect(),
        ..ProfileChange::default()
    }
}

fn spend(id: &str, amount: &str) -> Event {
    Event::consumption(id, "alice", amount, "CNY")
}

/// All entries so far: an alert as budget, threshold, spent and limit, any other entry as its id.
async fn story(test_feed: &TestFeed) -> Vec<String> {
    let history = test_feed.feed.history(&alice(), None, 200).await.unwrap();
    let entries = history.entries().iter().rev();
    entries
        .map(|entry| {
            let entry: Value = serde_json::from_str(entry.get()).unwrap();
            let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
            match entry["kind"].as_str() {
                Some("alert") => format!(
                    "{} {}% {}/{}",
                    text("budget"),
                    entry["threshold"],
                    text("spent"),
                    text("limit")
                ),
                _ => text("id"),
            }
        })
        .collect()
}

async fn alerts_follow_the_entry_that_crosses(ledger: &dyn Ledger) {
    let test_feed = TestFeed::open_on(ledger);
    test_feed.edit(budgets([monthly("100")])).await;
    let mut subscription = test_feed
        .feed
        .subscribe(alice(), SubscribeOptions::default());
    let snapshot = take(&mut subscription).await;
    let shown = json!([{ "id": "all", "meter": "spend", "unit": "CNY", "window": "month",
                         "limit": "100", "thresholds": [50, 80, 100] }]);
    assert_eq!(snapshot["budgets"], shown);
    assert_eq!(take(&mut subscription).await["type"], "live");

    test_feed.record([spend("a", "49.99")]).await;
    assert_eq!(take(&mut subscription).await["to"], 1);
    test_feed.record([spend("b", "35")]).await;
    let update = take(&mut subscription).await;
    assert_eq!((&update["from"], &update["to"]), (&json!(2), &json!(4)));
    let mut alert = update["entries"][1].clone();
    let alert_fields = alert.as_object_mut().unwrap();
    for stamp in ["time", "recorded_at"] {
        assert!(alert_fields.remove(stamp).unwrap().is_string());
    }
    assert_eq!(
        alert,
        json!({
            "offset": 3, "id": "alert-3", "source": "tallycast", "account": "alice", "kind": "alert",
            "amount": "0", "unit": "CNY", "meter": "spend", "budget": "all", "window": "month",
            "window_start": "2026-10-01", "threshold": 50, "spent": "84.99", "limit": "100",
            "total": "84.99",
        })
    );
    assert_eq!(update["entries"][2]["threshold"], 80);
    assert_eq!(
        update["totals"][0]["all"],
        json!({ "amount": "84.99", "count": 2 })
    );
    test_feed.record([spend("c", "200")]).await;
    assert_eq!(
        story(&test_feed).await,
        [
            "a",
            "b",
            "all 50% 84.99/100",
            "all 80% 84.99/100",
            "c",
            "all 100% 284.99/100"
        ]
    );
}

#[tokio::test]
async fn alerts_follow_the_entry_that_crosses_in_memory() {
    alerts_follow_the_entry_that_crosses(&Memory::new()).await;
}

#[tokio::test]
async fn alerts_follow_the_entry_that_crosses_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Sqlite::open(folder.path().join("ledger.db")).unwrap();
    alerts_follow_the_entry_that_crosses(&ledger).await;
}

#[tokio::test]
async fn a_threshold_fires_once_in_a_window_also_after_a_reversal() {
    let test_feed = TestFeed::open();
    test_feed
        .edit(budgets([monthly("100").with_thresholds([100])]))
        .await;
    test_feed
        .record([
            spend("a", "100"),
            Event::reversal("r", "alice", "a"),
            spend("b", "150"),
        ])
        .await;
    assert_eq!(story(&test_feed).await, ["a", "all 100% 100/100", "r", "b"]);
    test_feed.wait(SignedDuration::from_hours(24));
    test_feed.record([spend("c", "99"), spend("d", "1")]).await;
    assert_eq!(story(&test_feed).await[4..], ["c", "d", "all 100% 100/100"]);
}

#[tokio::test]
async fn a_changed_limit_arms_anew_and_other_edits_do_not() {
    let test_feed = TestFeed::open();
    test_feed.edit(budgets([monthly("100")])).await;
    test_feed.record([spend("a", "60")]).await;
    let fired = ["a", "all 50% 60/100"];
    assert_eq!(story(&test_feed).await, fired);

    // An edit alone fires nothing; a new threshold fires with the next entry.
    test_feed
        .edit(budgets([monthly("100").with_thresholds([50, 60])]))
        .await;
    test_feed
        .edit(ProfileChange {
            name: Some("A".to_owned()),
            ..budgets([monthly("100")])
        })
        .await;
    assert_eq!(story(&test_feed).await, fired);
    test_feed.record([spend("b", "1")]).await;
    assert_eq!(story(&test_feed).await[2..], ["b"]);

    test_feed.edit(budgets([monthly("50")])).await;
    assert_eq!(story(&test_feed).await.len(), 3);
    // The next entry fires it, even one of another meter.
    test_feed
        .record([Event::consumption("k", "alice", "1", "kWh").with_meter("power")])
        .await;
    assert_eq!(
        story(&test_feed).await[3..],
        ["k", "all 50% 61/50", "all 80% 61/50", "all 100% 61/50"]
    );
}

#[tokio::test]
async fn a_backfill_of_old_months_fires_nothing() {
    let test_feed = TestFeed::open();
    test_feed
        .edit(budgets([
            monthly("1"),
            Budget::new("day", Period::Day, "1".parse().unwrap(), "CNY"),
        ]))
        .await;
    test_feed
        .record((1..=9).map(|month| {
            spend(&format!("m-{month}"), "500").with_time(format!("2026-{month:02}-11T12:00:00Z"))
        }))
        .await;
    assert_eq!(story(&test_feed).await.len(), 9);
    test_feed
        .record([spend("yesterday", "0.50").with_time("2026-10-30T12:00:00Z")])
        .await;
    assert_eq!(
        story(&test_feed).await[9..],
        ["yesterday", "all 50% 0.50/1"]
    );
}

#[tokio::test]
async fn another_time_zone_repeats_no_alert() {
    let test_feed = TestFeed::open();
    let day = || Budget::new("day", Period::Day, "10".parse().unwrap(), "CNY");
    let zone = |name: &str| ProfileChange {
        time_zone: Some(name.to_owned()),
        ..budgets([day()])
    };
    test_feed.edit(zone("UTC")).await;
    test_feed.record([spend("a", "10")]).await;
    assert_eq!(story(&test_feed).await, ["a", "day 100% 10/10"]);
    for name in ["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "UTC"] {
        test_feed.edit(zone(name)).await;
    }
    test_feed.record([spend("b", "1")]).await;
    assert_eq!(story(&test_feed).await[2..], ["b"]);
}

#[tokio::test]
async fn a_day_that_comes_back_with_the_zone_repeats_no_alert() {
    let test_feed = TestFeed::open();
    let zone = |name: &str| ProfileChange {
        time_zone: Some(name.to_owned()),
        ..budgets([Budget::new(
            "day",
            Period::Day,
            "10".parse().unwrap(),
            "CNY",
        )])
    };
    test_feed.edit(zone("Pacific/Kiritimati")).await;
    test_feed.record([spend("a", "10")]).await;
    // In that zone the day is over and the entry falls on the next one; in the other zone it does not.
    test_feed.wait(SignedDuration::from_hours(10));
    test_feed.record([spend("b", "1")]).await;
    test_feed.edit(zone("UTC")).await;
    test_feed.record([spend("c", "1")]).await;
    assert_eq!(story(&test_feed).await, ["a", "day 100% 10/10", "b", "c"]);
}

#[tokio::test]
async fn an_alert_is_no_event_of_a_producer() {
    let test_feed = TestFeed::open();
    test_feed.edit(budgets([monthly("1")])).await;
    test_feed.record([spend("a", "0.50")]).await;
    let forged = spend("alert-9", "1").with_source("tallycast");
    assert_eq!(
        test_feed.feed.append(forged).await.unwrap_err().code(),
        "reserved_source"
    );
    let reversal = r#"{ "id": "r", "account": "alice", "kind": "reversal",
                        "reverses": { "source": "tallycast", "id": "alert-2" } }"#;
    assert_eq!(test_feed.answer(reversal).await, "not_reversible");
    test_feed.record([spend("alert-2", "0.01")]).await;
    assert_eq!(story(&test_feed).await, ["a", "all 50% 0.50/1", "alert-2"]);
}
