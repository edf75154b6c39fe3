//! Properties of every ledger under random events, edits, clocks, restarts and readers, compared with
//! the model. `PROPTEST_CASES` sets the number of cases, `TALLYCAST_SEED` another seed.

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::Value;
use tallycast::{
    Account, Event, Feed, Memory,
    domain::{Budget, Period, ProfileChange},
    feed::Clock,
};

use crate::support::model::{
    cases::runner,
    harness::{Backend, ModelHarness},
    runner::{Sent, StepRunner, reversal},
    steps::{Spelling, draft, step},
};

/// Start times, and the time zone of the first account: near the end of a month in summer time; an hour
/// before St. John's sets its clocks back over the midnight of a new month; before the day that Samoa skipped.
const BEGINS: &[(Timestamp, &str)] = &[
    (ModelHarness::BEGIN, "UTC"),
    (Timestamp::constant(1_257_039_000, 0), "America/St_Johns"),
    (Timestamp::constant(1_325_145_600, 0), "Pacific/Apia"),
];

fn hold_on(backend: Backend, cases: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let steps = proptest::collection::vec(step(), 1..60);
    let begin = proptest::sample::select(BEGINS);
    let result = runner(cases).run(&(begin, steps), |((begin, zone), steps)| {
        runtime.block_on(async {
            let mut run = StepRunner::new(ModelHarness::new_at(backend, begin));
            if zone != "UTC" {
                run.harness.set_zone(0, zone).await;
            }
            for step in steps {
                run.take(step).await;
            }
            run.finish().await;
        });
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

#[test]
fn everything_that_holds_of_a_ledger_holds_in_memory() {
    hold_on(Backend::Memory, 48);
}

#[test]
fn everything_that_holds_of_a_ledger_holds_on_sqlite() {
    hold_on(Backend::Sqlite, 16);
}

#[tokio::test]
async fn an_event_that_is_refused_ends_no_month_that_comes_back() {
    let (clock, hand) = Clock::manual(ModelHarness::BEGIN);
    let feed = Feed::start_at(&Memory::new(), clock).unwrap();
    let alice = Account::parse("alice").unwrap();
    let limit = "10".parse().unwrap();
    let change = ProfileChange {
        budgets: vec![Budget::new("b", Period::Month, limit, "CNY")],
        ..ProfileChange::default()
    };
    feed.set_profile(&alice, change).await.unwrap();
    let spend = |id: &str| Event::consumption(id, "alice", "10", "CNY");
    // On an earlier day of this month: later there is no other finished day.
    let early = spend("early").with_time("2026-10-02T00:00:00Z");
    feed.append(early).await.unwrap();
    hand.advance(jiff::SignedDuration::from_hours(24 * 90));
    let lost = Event::reversal("r", "alice", "nothing");
    assert_eq!(
        feed.append(lost).await.unwrap_err().code(),
        "unknown_original"
    );
    hand.advance(jiff::SignedDuration::from_hours(-24 * 90));
    feed.append(spend("late")).await.unwrap();
    let told = feed.snapshot(&alice, 9).await.unwrap();
    let told: Value = serde_json::from_str(told.json().get()).unwrap();
    let month = &told["totals"][0]["month"];
    let start = month["start"].as_str().unwrap().parse().unwrap();
    let past = feed.past_totals(&alice, Period::Month, start, start);
    let past = serde_json::to_value(past.await.unwrap()).unwrap();
    assert_eq!(month["amount"], past["totals"][0]["amount"]);
    let entries = told["recent"].as_array().unwrap().iter();
    let mut alerts = entries.filter(|entry| entry["kind"] == "alert");
    let mut windows = std::collections::BTreeSet::new();
    assert!(alerts.all(|alert| windows.insert(alert["window_start"].as_str())));
}

#[test]
fn any_order_of_the_same_events_gives_the_same_totals() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let events = proptest::collection::vec((draft(), any::<bool>()), 1..24);
    let shuffles = (events, proptest::collection::vec(any::<u32>(), 96));
    let result = runner(32).run(&shuffles, |(drafts, keys)| {
        let now = ModelHarness::BEGIN;
        let mut sent = Vec::new();
        for (number, (draft, is_reversed)) in drafts.iter().enumerate() {
            let mut content = draft.content(now, "");
            content.time.get_or_insert(now);
            let key = (String::new(), format!("e-{number}"));
            sent.push(Sent {
                account: 0,
                key: key.clone(),
                content,
            });
            if *is_reversed {
                let mut content = reversal(key.clone());
                content.time = Some(now - jiff::SignedDuration::from_hours(30));
                let key = (String::new(), format!("r-{number}"));
                sent.push(Sent {
                    account: 0,
                    key,
                    content,
                });
            }
        }
        // Each event twice, in any order; then once more, so that each reversal follows its original.
        let mut order: Vec<usize> = (0..sent.len()).chain(0..sent.len()).collect();
        order.sort_by_key(|index| keys[*index % keys.len()] ^ u32::try_from(*index).unwrap());
        order.extend(0..sent.len());
        let snapshot = |order: &[usize]| {
            let order = order.to_vec();
            let sent = &sent;
            async move {
                let mut run = StepRunner::new(ModelHarness::new(Backend::Memory));
                for index in order {
                    run.send(vec![(sent[index].clone(), Spelling::default())])
                        .await;
                }
                run.harness.snapshot(0).await["totals"].clone()
            }
        };
        let in_order: Vec<usize> = (0..sent.len()).collect();
        let (one, other) =
            runtime.block_on(async { (snapshot(&in_order).await, snapshot(&order).await) });
        prop_assert_eq!(one, other);
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}
