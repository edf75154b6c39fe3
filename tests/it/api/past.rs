//! Totals of past days and months over HTTP.

use reqwest::Method;
use serde_json::{Value, json};
use tallycast::Sqlite;

use crate::support::{
    api_server::{ApiServer, answer},
    tokens::bearer,
};

const NOW: &str = "2026-10-31T12:00:00Z";

/// Records `id` with this amount and time.
async fn spend(server: &ApiServer, id: &str, amount: &str, time: &str) {
    let event =
        json!({ "id": id, "account": "alice", "amount": amount, "unit": "CNY", "time": time });
    assert_eq!(server.record(&event).await.status, 201, "{id}");
}

/// Alice's totals: the start, amount and count of each period.
async fn told(server: &ApiServer, query: &str) -> Vec<String> {
    let told = answer(server.get(&format!("/v1/accounts/alice/totals?{query}"))).await;
    assert_eq!(told.status, 200, "{}", told.text);
    let totals = told.body["totals"].as_array().unwrap().iter();
    totals.map(line).collect()
}

fn line(totals: &Value) -> String {
    let text = |field: &str| totals[field].as_str().unwrap();
    format!("{} {} {}", text("start"), text("amount"), totals["count"])
}

#[tokio::test]
async fn past_days_and_months_are_told_with_their_categories() {
    let (server, _hand) = ApiServer::at(NOW).await;
    let event = json!({ "id": "a", "account": "alice", "amount": "12.50", "unit": "CNY",
                        "category": "food", "time": "2026-10-29T08:00:00Z" });
    server.record(&event).await;
    spend(&server, "b", "1", "2026-10-29T23:59:59Z").await;
    spend(&server, "c", "2", "2026-10-31T00:00:00Z").await;
    spend(&server, "d", "4", "2026-09-30T23:00:00Z").await;
    let kwh = json!({ "id": "e", "account": "alice", "amount": "7", "meter": "power", "unit": "kWh",
                      "time": "2026-10-29T08:00:00Z" });
    server.record(&kwh).await;

    let path = "/v1/accounts/alice/totals?by=day&from=2026-10-28&to=2026-10-31";
    let days = answer(server.get(path)).await;
    assert_eq!(days.header("cache-control"), Some("no-store"));
    let day = |meter: &str, unit: &str, (start, end): (&str, &str)| json!({ "meter": meter, "unit": unit, "start": start, "end": end, "categories": {} });
    let on = |mut day: Value, amount: &str, count: u64, categories: Value| {
        day["amount"] = json!(amount);
        day["count"] = json!(count);
        day["categories"] = categories;
        day
    };
    let thursday = ("2026-10-29", "2026-10-30");
    let expected = json!({
        "account": "alice", "offset": 5, "time_zone": "UTC", "by": "day", "next": null,
        "totals": [
            on(day("power", "kWh", thursday), "7", 1, json!({})),
            on(day("spend", "CNY", thursday), "13.50", 2, json!({ "food": "12.50" })),
            on(day("spend", "CNY", ("2026-10-31", "2026-11-01")), "2", 1, json!({})),
        ],
    });
    assert_eq!(days.body, expected);
    assert_eq!(
        told(&server, "by=month&from=2026-09&to=2026-10").await,
        ["2026-09-01 4 1", "2026-10-01 7 1", "2026-10-01 15.50 3"]
    );
    // By day, a month means all of its days; by month, a day means its month.
    assert_eq!(
        told(&server, "by=day&from=2026-09&to=2026-09").await,
        ["2026-09-30 4 1"]
    );
    assert_eq!(
        told(&server, "by=month&from=2026-09-05&to=2026-09-06").await,
        ["2026-09-01 4 1"]
    );
}

#[tokio::test]
async fn unless_said_it_is_31_days_or_12_months() {
    let (server, _hand) = ApiServer::at(NOW).await;
    for (id, time) in [
        ("last year", "2025-10-31T12:00:00Z"),
        ("12 months", "2025-11-01T00:00:00Z"),
        ("too old", "2026-09-30T23:59:59Z"),
        ("31 days", "2026-10-01T00:00:00Z"),
        ("today", NOW),
    ] {
        spend(&server, id, "1", time).await;
    }
    let days = ["2026-10-01 1 1", "2026-10-31 1 1"];
    assert_eq!(told(&server, "").await, days);
    assert_eq!(told(&server, "by=day").await, days);
    assert_eq!(
        told(&server, "by=month").await,
        ["2025-11-01 1 1", "2026-09-01 1 1", "2026-10-01 2 2"]
    );
    assert_eq!(told(&server, "to=2026-09-30").await, ["2026-09-30 1 1"]);
}

#[tokio::test]
async fn a_late_event_changes_its_own_day_alone() {
    let (server, hand) = ApiServer::at("2026-10-28T12:00:00Z").await;
    for day in 28..=30 {
        hand.set(format!("2026-10-{day}T12:00:00Z").parse().unwrap());
        let time = format!("2026-10-{day}T10:00:00Z");
        spend(&server, &day.to_string(), "1", &time).await;
    }
    hand.set("2026-11-02T12:00:00Z".parse().unwrap());
    spend(&server, "late", "5", "2026-10-29T13:00:00+02:00").await;
    assert_eq!(
        told(&server, "").await,
        ["2026-10-28 1 1", "2026-10-29 6 2", "2026-10-30 1 1"]
    );
    assert_eq!(told(&server, "by=month").await, ["2026-10-01 8 4"]);
}

#[tokio::test]
async fn a_reversal_counts_on_the_day_of_its_own_time() {
    let (server, hand) = ApiServer::at("2026-10-30T12:00:00Z").await;
    spend(&server, "a", "5", "2026-10-30T12:00:00Z").await;
    hand.set(NOW.parse().unwrap());
    let back = json!({ "id": "r", "account": "alice", "kind": "reversal", "reverses": "a" });
    assert_eq!(server.record(&back).await.status, 201);
    assert_eq!(
        told(&server, "").await,
        ["2026-10-30 5 1", "2026-10-31 -5 -1"]
    );
    assert_eq!(told(&server, "by=month").await, ["2026-10-01 0 0"]);
}

#[tokio::test]
async fn another_time_zone_counts_past_days_anew() {
    let (server, hand) = ApiServer::at("2026-09-30T20:00:00Z").await;
    spend(&server, "a", "1", "2026-09-30T18:29:59Z").await;
    spend(&server, "b", "2", "2026-09-30T18:30:00Z").await;
    hand.set(NOW.parse().unwrap());
    spend(&server, "c", "4", NOW).await;
    let months = "by=month";
    assert_eq!(
        told(&server, months).await,
        ["2026-09-01 3 2", "2026-10-01 4 1"]
    );
    server
        .edit("alice", &json!({ "time_zone": "Asia/Kolkata" }))
        .await;
    assert_eq!(
        told(&server, months).await,
        ["2026-09-01 1 1", "2026-10-01 6 2"]
    );
    assert_eq!(
        told(&server, "from=2026-09-30").await,
        ["2026-09-30 1 1", "2026-10-01 2 1", "2026-10-31 4 1"]
    );
    server.edit("alice", &json!({})).await;
    assert_eq!(
        told(&server, months).await,
        ["2026-09-01 3 2", "2026-10-01 4 1"]
    );
}

#[tokio::test]
async fn much_comes_in_pages() {
    const DAYS: usize = 70;
    let folder = tempfile::tempdir().unwrap();
    let server = ApiServer::on(Sqlite::open(folder.path().join("ledger.db")).unwrap()).await;
    let first: jiff::civil::Date = "2020-10-01".parse().unwrap();
    // The largest day of one meter and unit: 64 categories with long names.
    let days = first.series(jiff::Span::new().days(1)).take(DAYS);
    for (number, day) in days.enumerate() {
        let events = (0..64).map(|category| {
            json!({ "id": format!("{number}-{category}"), "account": "alice", "amount": "1", "unit": "CNY",
                    "category": format!("{category:02}{}", "𝄞".repeat(62)), "time": format!("{day}T12:00:00Z") })
        });
        let events: Vec<_> = events.collect();
        assert_eq!(server.record(&json!(events)).await.status, 200);
    }
    let mut from = json!("2020-10-01");
    let (mut starts, mut pages) = (Vec::new(), 0);
    while let Some(date) = from.as_str() {
        let path = format!("/v1/accounts/alice/totals?by=day&to=2020-12-31&from={date}");
        let page = answer(server.get(&path)).await;
        assert!(page.text.len() < 300_000, "{}", page.text.len());
        for totals in page.body["totals"].as_array().unwrap() {
            assert_eq!(
                (&totals["amount"], &totals["count"]),
                (&json!("64"), &json!(64))
            );
            starts.push(totals["start"].as_str().unwrap().to_owned());
        }
        from = page.body["next"].clone();
        pages += 1;
    }
    let days = first.series(jiff::Span::new().days(1)).take(DAYS);
    assert_eq!(starts, days.map(|day| day.to_string()).collect::<Vec<_>>());
    assert_eq!(pages, 5);
}

/// Days that are not there cost nothing, and those that are take a bounded page.
#[tokio::test]
async fn ten_thousand_years_are_a_page_like_any_other() {
    const DAYS: usize = 3_000;
    let server = ApiServer::start().await;
    let first: jiff::civil::Date = "1990-01-01".parse().unwrap();
    let days = first.series(jiff::Span::new().days(1)).take(DAYS);
    let events: Vec<Value> = days
        .map(|day| {
            json!({ "id": day, "account": "alice", "amount": "1", "unit": "CNY", "time": format!("{day}T12:00:00Z") })
        })
        .collect();
    for events in events.chunks(1_000) {
        assert_eq!(server.record(&json!(events)).await.status, 200);
    }
    let mut from = json!("0001-01-01");
    let mut told = 0;
    while let Some(date) = from.as_str() {
        let path = format!("/v1/accounts/alice/totals?by=day&from={date}&to=9999-12-31");
        let page = answer(server.get(&path)).await;
        assert!(page.text.len() < 300_000, "{}", page.text.len());
        told += page.body["totals"].as_array().unwrap().len();
        from = page.body["next"].clone();
    }
    assert_eq!(told, DAYS);
}

/// A period is never cut, so one that is too large cannot be told at all.
#[tokio::test]
async fn a_month_that_is_too_large_is_refused() {
    const EVENTS_A_DAY: usize = 64 * 12;
    let server = ApiServer::start().await;
    for day in 1..=31 {
        let events = (0..EVENTS_A_DAY).map(|number| {
            let (unit, category) = (number / 64, number % 64);
            json!({ "id": format!("{day}-{number}"), "account": "alice", "amount": "1", "unit": format!("u{unit}"),
                    "category": format!("{day:02}{category:02}{}", "𝄞".repeat(60)), "time": format!("2020-10-{day:02}T12:00:00Z") })
        });
        let events: Vec<_> = events.collect();
        assert_eq!(server.record(&json!(events)).await.status, 200);
    }
    let path = |by: &str, from: &str, to: &str| {
        format!("/v1/accounts/alice/totals?by={by}&from={from}&to={to}")
    };
    let refused = answer(server.get(&path("month", "2020-10", "2020-10"))).await;
    assert_eq!(refused.refusal(), (422, "period_too_large"));
    let day = answer(server.get(&path("day", "2020-10-31", "2020-10-31"))).await;
    assert_eq!(day.body["totals"].as_array().unwrap().len(), 12);
    // What comes before it is told.
    spend(&server, "before", "1", "2020-09-30T12:00:00Z").await;
    let before = answer(server.get(&path("month", "2020-09", "2020-10"))).await;
    assert_eq!(before.body["totals"].as_array().unwrap().len(), 1);
    assert_eq!(before.body["next"], "2020-10-01");
}

#[tokio::test]
async fn odd_queries_about_the_past_are_refused() {
    let server = ApiServer::start().await;
    for query in [
        "by=week",
        "by=",
        "by=Day",
        "by=day&by=day",
        "from=2026-10-31&to=2026-10-30",
        "from=9999-12-31",
        "from=2026-13",
        "from=2026-13-01",
        "from=2026-02-30",
        "from=2026",
        "from=2026-1-1",
        "from=-2026-01-01",
        "from=2026-01-01T00:00:00Z",
        "from=today",
        "from=",
        "to=2026-00",
        "to=20261031",
        "to=2026-10-31&to=2026-10-31",
        "from=2026-10&from=2026-10",
        "form=2026-10",
    ] {
        let path = format!("/v1/accounts/alice/totals?{query}");
        let refused = answer(server.get(&path)).await;
        assert_eq!(refused.refusal(), (400, "invalid_query"), "{query}");
    }
    for query in [
        "from=0000-01-01",
        "to=9999-12-31",
        "by=month&to=9999-12",
        "by=month&to=0000-01",
    ] {
        assert_eq!(told(&server, query).await, [""; 0], "{query}");
    }
}

#[tokio::test]
async fn the_past_of_others_looks_like_none() {
    let server = ApiServer::start().await;
    let path = "/v1/accounts/alice/totals";
    for claims in [
        json!({ "sub": "bob" }),
        json!({ "scope": "record push admin" }),
    ] {
        let request = server
            .request(Method::GET, path)
            .bearer_auth(bearer(claims));
        assert_eq!(answer(request).await.refusal(), (404, "not_found"));
    }
    let nobody = answer(server.request(Method::GET, path)).await;
    assert_eq!(nobody.refusal(), (401, "unauthorized"));
    let put = answer(server.request(Method::PUT, path)).await;
    assert_eq!(put.refusal(), (405, "method_not_allowed"));
}
