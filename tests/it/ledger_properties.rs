//! What holds of every ledger, whatever happens to it: random events, edits, clocks, restarts and
//! readers, against the model. `PROPTEST_CASES` asks for more cases, `TALLYCAST_SEED` for others.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner},
};
use serde_json::Value;
use tallycast::{
    Account, Amount, Budget, Clock, Event, Feed, Memory, Period, Position, ProfileChange,
};

use super::{
    model::Decimal,
    run::{Run, Sent, reversal},
    steps::{Spelling, draft, step},
    world::{Backend, World},
};

/// When worlds begin, and where their first account is: near the end of a month in summer time, an hour before a clock in St. John's is
/// set back over the midnight of a new month, before the day that Samoa skipped.
const BEGINS: &[(Timestamp, &str)] = &[
    (World::BEGIN, "UTC"),
    (Timestamp::constant(1_257_039_000, 0), "America/St_Johns"),
    (Timestamp::constant(1_325_145_600, 0), "Pacific/Apia"),
];

/// A runner whose cases are the same each time, unless `TALLYCAST_SEED` says otherwise.
fn runner(cases: u32) -> TestRunner {
    let seed = std::env::var("TALLYCAST_SEED").unwrap_or_else(|_| "tallycast".to_owned());
    let asked = std::env::var("PROPTEST_CASES").ok();
    let cases = asked.map_or(cases, |text| {
        text.parse().expect("PROPTEST_CASES is a number")
    });
    println!("TALLYCAST_SEED={seed} PROPTEST_CASES={cases}");
    let mut bytes = [0; 32];
    for (byte, letter) in bytes.iter_mut().zip(seed.bytes()) {
        *byte = letter;
    }
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 400,
        // Each step of one that waits for what never comes takes seconds.
        max_shrink_time: 60_000,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

fn hold_on(backend: Backend, cases: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let steps = proptest::collection::vec(step(), 1..60);
    let begin = proptest::sample::select(BEGINS);
    let result = runner(cases).run(&(begin, steps), |((begin, zone), steps)| {
        runtime.block_on(async {
            let mut run = Run::new(World::new_at(backend, begin));
            if zone != "UTC" {
                run.world.set_zone(0, zone).await;
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
    let (clock, hand) = Clock::by_hand(World::BEGIN);
    let feed = Feed::start_at(&Memory::new(), clock).unwrap();
    let alice = Account::parse("alice").unwrap();
    let limit = "10".parse().unwrap();
    let change = ProfileChange {
        budgets: vec![Budget::new("b", Period::Month, limit, "CNY")],
        ..ProfileChange::default()
    };
    feed.set_profile(&alice, change).await.unwrap().unwrap();
    let spend = |id: &str| Event::consumption(id, "alice", "10", "CNY");
    // Of an earlier day of this month: there is none that is over later.
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
        let now = World::BEGIN;
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
        // Every one twice, in any order; then once more, so that each reversal follows its original.
        let mut order: Vec<usize> = (0..sent.len()).chain(0..sent.len()).collect();
        order.sort_by_key(|index| keys[*index % keys.len()] ^ u32::try_from(*index).unwrap());
        order.extend(0..sent.len());
        let snapshot = |order: &[usize]| {
            let order = order.to_vec();
            let sent = &sent;
            async move {
                let mut run = Run::new(World::new(Backend::Memory));
                for index in order {
                    run.send(vec![(sent[index].clone(), Spelling::default())])
                        .await;
                }
                run.world.snapshot(0).await["totals"].clone()
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

#[test]
fn an_amount_is_read_back_as_it_was_printed() {
    let texts = prop_oneof![
        "-?(0|[1-9][0-9]{0,14})(\\.[0-9]{1,9})?",
        "-?999999999999999\\.999999999",
        "-?0\\.0{0,8}[0-9]",
    ];
    let result = runner(2_000).run(&texts, |text| {
        let amount: Amount = text.parse().map_err(|_| TestCaseError::fail("refused"))?;
        let zero = text.bytes().all(|b| b"-0.".contains(&b));
        let expected = if zero {
            text.trim_start_matches('-')
        } else {
            &text
        };
        prop_assert_eq!(amount.to_string(), expected);
        prop_assert_eq!(amount.to_string().parse::<Amount>().unwrap(), amount);
        prop_assert_eq!(amount.nanos(), Decimal::read(&text).nanos);
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

#[test]
fn sums_grow_exactly_until_they_are_refused() {
    let mut sum: Amount = "999999999999999.999999999".parse().unwrap();
    let mut expected: i128 = 999_999_999_999_999_999_999_999;
    while let Some(doubled) = sum.checked_add(sum) {
        expected *= 2;
        assert_eq!(doubled.nanos(), expected);
        let json = serde_json::to_string(&doubled).unwrap();
        assert_eq!(serde_json::from_str::<Amount>(&json).unwrap(), doubled);
        sum = doubled;
    }
    assert!(
        expected.checked_mul(2).is_none(),
        "refused at {expected}, too early"
    );
}

#[test]
fn a_position_is_read_back_as_it_was_printed() {
    let offset = prop_oneof![
        Just(0),
        Just(Position::OFFSET_MAX),
        0..=Position::OFFSET_MAX
    ];
    let day = prop_oneof![Just(i32::MIN), Just(i32::MAX), any::<i32>()];
    let parts = (any::<[u64; 2]>(), offset, day, any::<u32>(), any::<bool>());
    let result = runner(1_000).run(&parts, |([epoch, tag], offset, day, revision, due)| {
        let bytes = |version: u8, due: u8, offset: u64| {
            let mut bytes = vec![version, due];
            bytes.extend(
                [epoch, tag, offset]
                    .iter()
                    .flat_map(|long| long.to_be_bytes()),
            );
            bytes.extend(day.to_be_bytes());
            bytes.extend(revision.to_be_bytes());
            URL_SAFE_NO_PAD.encode(bytes)
        };
        let text = bytes(1, u8::from(due), offset);
        let position = Position::parse(&text).map_err(|_| TestCaseError::fail("refused"))?;
        prop_assert_eq!(
            (position.to_string(), position.offset()),
            (text.clone(), offset)
        );
        let forged = [
            bytes(2, 0, offset),
            bytes(1, 2, offset),
            bytes(1, 0, Position::OFFSET_MAX + 1),
        ];
        for text in forged
            .into_iter()
            .chain([format!("{text}A"), text[1..].to_owned()])
        {
            prop_assert_eq!(Position::parse(&text).unwrap_err().code(), "bad_position");
        }
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}
