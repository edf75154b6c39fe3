//! Every bound of an event: a value on the bound is recorded, a value beyond it is refused with a code
//! of its own, and nothing changes.

use jiff::SignedDuration;
use serde_json::{Value, json};
use tallycast::{AppendError, Event};

use crate::support::test_feed::{RECORDED, TestFeed};

fn quoted(text: &str, times: usize) -> String {
    json!(text.repeat(times)).to_string()
}

/// Each row: a field, its JSON, the expected answer.
async fn check(rows: &[(&str, String, &str)]) {
    let mut test_feed = TestFeed::open();
    let mut recorded = 0;
    for (field, value, expected) in rows {
        let answer = test_feed.answer_with(&[(field, value)]).await;
        let shown: String = value.chars().take(60).collect();
        assert_eq!(
            answer,
            *expected,
            "{field} of {} bytes: {shown}",
            value.len()
        );
        recorded += u64::from(answer == RECORDED);
    }
    assert_eq!(
        test_feed.head().await,
        recorded,
        "a refusal changes nothing"
    );
}

#[tokio::test]
async fn texts_have_bounds() {
    let row = |field, value: String, answer| (field, value, answer);
    check(&[
        row("id", quoted("i", 128), RECORDED),
        row("id", quoted("电", 128), RECORDED),
        row("id", quoted("i", 129), "invalid_id"),
        row("id", quoted("", 0), "invalid_id"),
        row("id", quoted("\n", 1), "invalid_id"),
        row("id", quoted("\u{85}", 1), "invalid_id"),
        row("id", String::new(), "invalid_event"),
        row("id", "null".into(), "invalid_event"),
        row("id", "7".into(), "invalid_event"),
        row("source", quoted("s", 128), RECORDED),
        row("source", quoted("", 0), RECORDED),
        row("source", "null".into(), RECORDED),
        row("source", quoted("s", 129), "invalid_source"),
        row("source", quoted("\t", 1), "invalid_source"),
        row("source", quoted("tallycast", 1), "reserved_source"),
        row("account", quoted("a", 129), "invalid_account"),
        row("account", quoted("电", 43), "invalid_account"),
        row("account", quoted("a/b", 1), "invalid_account"),
        row("account", quoted("\u{7f}", 1), "invalid_account"),
        row("account", quoted("", 0), "invalid_account"),
        row("account", String::new(), "invalid_event"),
        row("category", quoted("c", 64), RECORDED),
        row("category", quoted("", 0), RECORDED),
        row("category", quoted("c", 65), "category_too_long"),
        row("description", quoted("d", 500), RECORDED),
        row("description", quoted("\u{1b}", 500), RECORDED),
        row("description", quoted("d", 501), "description_too_long"),
        row("meter", quoted("m", 64), RECORDED),
        row("meter", quoted("", 0), RECORDED),
        row("meter", "null".into(), RECORDED),
        row("meter", quoted("m", 65), "invalid_meter"),
        row("meter", quoted("a b", 1), "invalid_meter"),
        row("unit", quoted("kWh", 1), RECORDED),
        row("unit", quoted("a.%/_-9", 1), RECORDED),
        row("unit", quoted("u", 16), RECORDED),
        row("unit", quoted("u", 17), "invalid_unit"),
        row("unit", quoted("k W", 1), "invalid_unit"),
        row("unit", quoted("\"", 1), "invalid_unit"),
        row("unit", quoted("", 0), "missing_unit"),
        row("unit", String::new(), "missing_unit"),
        row("unit", "null".into(), "missing_unit"),
        row("kind", quoted("consumption", 1), RECORDED),
        row("kind", "null".into(), RECORDED),
        row("kind", quoted("alert", 1), "invalid_kind"),
        row("kind", quoted("Consumption", 1), "invalid_kind"),
        row("kind", quoted("adjustment", 1), "missing_description"),
        row("kind", quoted("reversal", 1), "missing_reverses"),
        row("reverses", quoted("e-1", 1), "unexpected_reverses"),
        row("reverses", quoted("", 0), "invalid_id"),
        row("reverses", "[\"\",\"e-1\"]".into(), "invalid_event"),
        row(
            "reverses",
            "{\"id\":\"a\",\"id\":\"b\"}".into(),
            "invalid_event",
        ),
        row("reverses", "{\"source\":\"a\"}".into(), "invalid_event"),
        row("colour", "null".into(), "invalid_event"),
        row("Amount", "\"1\"".into(), "invalid_event"),
    ])
    .await;
}

#[tokio::test]
async fn an_account_of_128_bytes_is_one() {
    let mut test_feed = TestFeed::open();
    let name = "é".repeat(64);
    assert_eq!(
        test_feed
            .answer_with(&[("account", &quoted(&name, 1))])
            .await,
        RECORDED
    );
}

#[tokio::test]
async fn amounts_are_digits_within_bounds() {
    let row = |value: &str, answer| ("amount", value.to_owned(), answer);
    check(&[
        row("999999999999999.999999999", RECORDED),
        row("\"999999999999999.999999999\"", RECORDED),
        row("0", RECORDED),
        row("-0", RECORDED),
        row("\"-0.00\"", RECORDED),
        row("0.000000001", RECORDED),
        row("1000000000000000", "amount_out_of_range"),
        row("\"1000000000000000\"", "amount_out_of_range"),
        row("0.0000000001", "amount_out_of_range"),
        row("1.0000000000", "amount_out_of_range"),
        row(&"9".repeat(5_000), "amount_out_of_range"),
        row("-1", "negative_amount"),
        row("\"-0.000000001\"", "negative_amount"),
        row("1e2", "invalid_amount"),
        row("1E0", "invalid_amount"),
        row("1e400", "invalid_amount"),
        row("\"1e2\"", "invalid_amount"),
        row("\"+1\"", "invalid_amount"),
        row("\"1.\"", "invalid_amount"),
        row("\".5\"", "invalid_amount"),
        row("\"1,5\"", "invalid_amount"),
        row("\"1 000\"", "invalid_amount"),
        row("\" 1\"", "invalid_amount"),
        row("\"0x10\"", "invalid_amount"),
        row("\"007\"", "invalid_amount"),
        row("\"٣\"", "invalid_amount"),
        row("\"NaN\"", "invalid_amount"),
        row("\"\"", "invalid_amount"),
        row("\"--1\"", "invalid_amount"),
        row("true", "invalid_amount"),
        row("[1]", "invalid_amount"),
        row("{\"amount\":1}", "invalid_amount"),
        row("\"\\ud800\"", "invalid_amount"),
        row("NaN", "malformed_json"),
        row("01", "malformed_json"),
        row("1.", "malformed_json"),
        row("null", "missing_amount"),
        row("", "missing_amount"),
    ])
    .await;
}

#[tokio::test]
async fn a_number_keeps_every_digit() {
    let mut test_feed = TestFeed::open();
    for amount in ["0.1", "0.2", "123456789012345.123456789"] {
        assert_eq!(test_feed.answer_with(&[("amount", amount)]).await, RECORDED);
    }
    let all = &test_feed.snapshot().await["totals"][0]["all"];
    assert_eq!(
        *all,
        json!({ "amount": "123456789012345.423456789", "count": 3 })
    );
}

#[tokio::test]
async fn times_are_rfc_3339_and_not_ahead() {
    let row = |value: &str, answer| ("time", json!(value).to_string(), answer);
    let ahead = |seconds, nanos| {
        let time = TestFeed::BEGIN + SignedDuration::new(seconds, nanos);
        json!(time.to_string()).to_string()
    };
    check(&[
        row("2026-10-30T09:30:00+08:00", RECORDED),
        row("2026-10-30t09:30:00.123456789z", RECORDED),
        row("2026-10-30T09:30:00-00:00", RECORDED),
        row("2026-10-30T09:30:00+23:59", RECORDED),
        row("0000-01-01T00:00:00Z", RECORDED),
        row("1969-12-31T23:59:59Z", RECORDED),
        row("2024-02-29T00:00:00Z", RECORDED),
        ("time", ahead(300, 0), RECORDED),
        ("time", ahead(300, 1), "time_in_future"),
        ("time", "null".into(), RECORDED),
        row("9999-01-01T00:00:00Z", "time_in_future"),
        row("9999-12-31T23:59:59Z", "invalid_time"),
        row("10000-01-01T00:00:00Z", "invalid_time"),
        row("2026-10-30T09:30:60Z", "invalid_time"),
        row("2016-12-31T23:59:60Z", "invalid_time"),
        row("2026-10-30T24:00:00Z", "invalid_time"),
        row("2026-10-30T09:60:00Z", "invalid_time"),
        row("2026-02-29T00:00:00Z", "invalid_time"),
        row("2026-13-01T00:00:00Z", "invalid_time"),
        row("2026-10-30T09:30:00+24:00", "invalid_time"),
        row("2026-10-30T09:30:00+08:60", "invalid_time"),
        row("2026-10-30T09:30:00+0800", "invalid_time"),
        row("2026-10-30T09:30:00+08", "invalid_time"),
        row("2026-10-30T09:30:00", "invalid_time"),
        row("2026-10-30T09:30Z", "invalid_time"),
        row("2026-10-30 09:30:00Z", "invalid_time"),
        row("2026-10-30", "invalid_time"),
        row("20261030T093000Z", "invalid_time"),
        row("2026-10-30T09:30:00.Z", "invalid_time"),
        row("2026-10-30T09:30:00.1234567891Z", "invalid_time"),
        row("2026-10-30T09:30:00,5Z", "invalid_time"),
        row("2026-10-30T09:30:00+08:00[Asia/Shanghai]", "invalid_time"),
        row("-2026-10-30T09:30:00Z", "invalid_time"),
        row("２026-10-30T09:30:00Z", "invalid_time"),
        row("1793404801", "invalid_time"),
        row("now", "invalid_time"),
        row("", "invalid_time"),
        ("time", "1793404801".into(), "invalid_event"),
    ])
    .await;
}

#[tokio::test]
async fn attributes_have_bounds() {
    let object = |count: usize, name: usize, value: usize| {
        let pairs = (0..count).map(|n| (format!("{n:0name$}"), json!("v".repeat(value))));
        Value::Object(pairs.collect()).to_string()
    };
    check(&[
        ("attributes", object(16, 64, 256), RECORDED),
        ("attributes", "{}".into(), RECORDED),
        ("attributes", "null".into(), RECORDED),
        ("attributes", object(17, 2, 2), "too_many_attributes"),
        ("attributes", object(1, 65, 2), "invalid_attribute"),
        ("attributes", object(1, 2, 257), "invalid_attribute"),
        ("attributes", "{\"\":\"v\"}".into(), "invalid_attribute"),
        (
            "attributes",
            "{\"a\":\"1\",\"a\":\"2\"}".into(),
            "invalid_event",
        ),
        ("attributes", "{\"a\":1}".into(), "invalid_event"),
        ("attributes", "{\"a\":null}".into(), "invalid_event"),
        ("attributes", "[]".into(), "invalid_event"),
        ("attributes", "[[\"a\",\"b\"]]".into(), "invalid_event"),
    ])
    .await;
}

#[tokio::test]
async fn what_is_no_event_is_refused() {
    let test_feed = TestFeed::open();
    let nested = |depth: usize| "[".repeat(depth);
    let sized = |bytes: usize| {
        let event = r#"{"id":"e","account":"alice","amount":"1","unit":"CNY"}"#;
        format!("{event:<bytes$}")
    };
    let inside = |field: &str, value: &str| {
        format!(r#"{{"id":"n","account":"alice","unit":"CNY","amount":1,"{field}":{value}}}"#)
    };
    let deep = format!("{}{}", nested(7_000), "]".repeat(7_000));
    let doubled = r#"{"id":"a","id":"b","account":"alice","amount":"1","unit":"CNY"}"#;
    let escaped = r#"{"id":"a","\u0069d":"b","account":"alice","amount":"1","unit":"CNY"}"#;
    let lone = r#"{"id":"\ud800","account":"alice","amount":"1","unit":"CNY"}"#;
    let rows: &[(String, &str)] = &[
        (sized(Event::BYTES_MAX), RECORDED),
        (sized(Event::BYTES_MAX + 1), "event_too_large"),
        (String::new(), "malformed_json"),
        ("{".into(), "malformed_json"),
        ("{}".into(), "invalid_event"),
        ("null".into(), "invalid_event"),
        ("[]".into(), "invalid_event"),
        (r#"["id","alice"]"#.into(), "invalid_event"),
        ("\u{feff}{}".into(), "malformed_json"),
        (format!("{} {{}}", inside("kind", "null")), "malformed_json"),
        (doubled.into(), "invalid_event"),
        (escaped.into(), "invalid_event"),
        (lone.into(), "malformed_json"),
        (nested(100_000), "event_too_large"),
        (nested(16_000), "malformed_json"),
        (inside("attributes", &deep), "invalid_event"),
        (inside("reverses", &deep), "invalid_event"),
        (inside("category", &deep), "invalid_event"),
        (inside("unknown", &deep), "invalid_event"),
        (inside("amount", "1").replace("\"amount\":1,", ""), RECORDED),
        (
            inside("amount", &deep).replace("\"amount\":1,", ""),
            "invalid_amount",
        ),
    ];
    for (json, expected) in rows {
        let shown: String = json.chars().take(80).collect();
        assert_eq!(test_feed.answer(json).await, *expected, "{shown}");
    }
    assert_eq!(
        Event::from_json(b"{\"id\":\"\xff\"}").unwrap_err().code(),
        "malformed_json"
    );
    let quoting = inside(&"x".repeat(10_000), "1");
    let message = Event::from_json(quoting.as_bytes())
        .unwrap_err()
        .to_string();
    assert!(message.len() < 300, "a refusal of {} bytes", message.len());
}

#[tokio::test]
async fn an_event_made_in_rust_has_the_same_bounds() {
    let test_feed = TestFeed::open();
    let base = || Event::consumption("e", "alice", "1", "CNY");
    let mut heavy = base();
    for number in 0..16 {
        heavy = heavy.with_attribute(format!("{number}"), "电".repeat(256));
    }
    heavy = heavy
        .with_description("电".repeat(500))
        .with_category("\u{1}".repeat(64));
    let mut heavier = heavy.clone();
    for number in 0..16 {
        heavier = heavier.with_attribute(format!("{number}"), "\u{1}".repeat(256));
    }
    let cases = [
        (heavy, None),
        (heavier, Some("event_too_large")),
        (base().with_time("yesterday"), Some("invalid_time")),
        (
            Event::consumption("e", "alice", f64::NAN, "CNY"),
            Some("invalid_amount"),
        ),
        (
            Event::consumption("e", "alice", 1e30, "CNY"),
            Some("amount_out_of_range"),
        ),
        (
            Event::adjustment("e", "alice", "-1", "CNY", ""),
            Some("missing_description"),
        ),
        (Event::reversal("e", "alice", "e"), Some("reverses_itself")),
        (
            Event::reversal("r", "alice", "nothing"),
            Some("unknown_original"),
        ),
        (
            Event::reversal("r", "alice", "e").with_category("c"),
            Some("unexpected_field"),
        ),
        (
            Event::reversal("r", "alice", "e").with_meter("m"),
            Some("unexpected_field"),
        ),
    ];
    for (event, expected) in cases {
        let code = test_feed.feed.append(event.clone()).await.err();
        let code = code.as_ref().map(AppendError::code);
        assert_eq!(code, expected, "{event:?}");
    }
}
