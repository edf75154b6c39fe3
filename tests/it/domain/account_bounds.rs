//! The bounds of an account: its meters, its categories, and the windows of its time zone.

use jiff::SignedDuration;
use serde_json::json;
use tallycast::{
    Account,
    domain::{Profile, ProfileChange},
};

use crate::support::test_feed::{RECORDED, TestFeed};

#[tokio::test]
async fn an_account_has_32_pairs_of_meter_and_unit() {
    let mut test_feed = TestFeed::open();
    for number in 0..32 {
        let meter = json!(format!("m-{number}")).to_string();
        assert_eq!(test_feed.answer_with(&[("meter", &meter)]).await, RECORDED);
    }
    assert_eq!(
        test_feed
            .answer_with(&[("meter", "\"m-0\""), ("unit", "\"EUR\"")])
            .await,
        "too_many_meters"
    );
    assert_eq!(
        test_feed.answer_with(&[("meter", "\"m-31\"")]).await,
        RECORDED
    );
    assert_eq!(test_feed.head().await, 33);
}

#[tokio::test]
async fn a_window_has_64_categories_and_the_next_day_begins_anew() {
    let mut test_feed = TestFeed::open();
    let category = |number: usize| json!(format!("c-{number}")).to_string();
    for number in 0..64 {
        assert_eq!(
            test_feed
                .answer_with(&[("category", &category(number))])
                .await,
            RECORDED
        );
    }
    assert_eq!(
        test_feed.answer_with(&[("category", &category(64))]).await,
        "too_many_categories"
    );
    assert_eq!(
        test_feed.answer_with(&[("category", &category(0))]).await,
        RECORDED
    );
    assert_eq!(
        test_feed.answer_with(&[("category", "null")]).await,
        RECORDED
    );
    let other = [("category", "\"c-64\""), ("unit", "\"EUR\"")];
    assert_eq!(
        test_feed.answer_with(&other).await,
        RECORDED,
        "each pair has its own"
    );
    let past = [
        ("category", "\"c-64\""),
        ("time", "\"2026-09-30T23:59:59Z\""),
    ];
    assert_eq!(
        test_feed.answer_with(&past).await,
        RECORDED,
        "in no current window"
    );

    // The last day of October is over, and as full as before.
    test_feed.wait(SignedDuration::from_hours(24));
    let time = ("time", "\"2026-10-31T12:00:00Z\"");
    let late = [("category", "\"c-64\""), time];
    assert_eq!(test_feed.answer_with(&late).await, "too_many_categories");
    let late = [("category", "\"c-0\""), time];
    assert_eq!(test_feed.answer_with(&late).await, RECORDED);
    for number in 64..128 {
        assert_eq!(
            test_feed
                .answer_with(&[("category", &category(number))])
                .await,
            RECORDED
        );
    }
    assert_eq!(
        test_feed.answer_with(&[("category", &category(0))]).await,
        "too_many_categories"
    );
}

#[tokio::test]
async fn a_zone_whose_windows_would_not_fit_is_refused() {
    let mut test_feed = TestFeed::open();
    let alice = Account::parse("alice").unwrap();
    for number in 0..64 {
        let category = json!(format!("october-{number}")).to_string();
        assert_eq!(
            test_feed.answer_with(&[("category", &category)]).await,
            RECORDED
        );
    }
    test_feed.wait(SignedDuration::from_hours(24));
    let november = [("category", "\"november\"")];
    assert_eq!(test_feed.answer_with(&november).await, RECORDED);
    let before = test_feed.snapshot().await;
    let zone = |name: &str| ProfileChange {
        time_zone: Some(name.to_owned()),
        ..ProfileChange::default()
    };
    // In Honolulu it is still October.
    let refused = test_feed
        .feed
        .set_profile(&alice, zone("Pacific/Honolulu"))
        .await;
    assert_eq!(refused.unwrap_err().code(), "too_many_categories");
    assert_eq!(test_feed.snapshot().await["totals"], before["totals"]);
    assert_eq!(
        test_feed.feed.profile(&alice).await.unwrap(),
        Profile::default()
    );
    test_feed
        .feed
        .set_profile(&alice, zone("Asia/Shanghai"))
        .await
        .unwrap();
}
