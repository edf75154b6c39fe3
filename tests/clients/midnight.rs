//! Midnight, with a clock that is moved under the real binary.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    facts::{follow, until},
    screen::Screen,
    server::Server,
    stock::Stock,
    tcp_proxy::TcpProxy,
};

/// A rollover is due within a second of midnight; a busy machine may need longer.
const ROLLOVER_MAX: Duration = Duration::from_secs(10);

pub(crate) async fn a_day_turns_and_budgets_are_crossed_through_killed_servers(stock: Stock) {
    // 23:40 on the last of October.
    let mut server = Server::start_at("2026-10-31T18:10:00Z").await;
    server.edit(&kolkata()).await;
    let token = server.token("alice").await;
    let proxy = TcpProxy::to(&server.url).await;
    let mut client = stock.client(&server.url, &token).start();
    let mut sleeper = stock.client(&proxy.url, &token).start();
    let (mut screen, mut asleep) = (Screen::default(), Screen::default());
    client.connected().await;
    sleeper.connected().await;
    record(&server, "a", "40").await;
    follow(&mut client, &mut screen, 1).await;
    follow(&mut sleeper, &mut asleep, 1).await;
    assert_eq!(screen.window("day"), ("2026-10-31", "40"));
    proxy.cut();
    until(&mut sleeper, &mut asleep, "disconnect").await;

    let midnight = Instant::now() + Duration::from_secs(1);
    server.set_clock("2026-10-31T18:29:59Z");
    until(&mut client, &mut screen, "rollover").await;
    let late = midnight.elapsed();
    println!("the rollover came {late:?} after midnight");
    assert!(late < ROLLOVER_MAX, "{late:?} after midnight");
    assert_eq!(screen.window("day"), ("2026-11-01", "0"));
    assert_eq!(screen.window("month"), ("2026-11-01", "0"));

    proxy.restore();
    until(&mut sleeper, &mut asleep, "rollover").await;
    assert_eq!(asleep.totals, screen.totals);

    // Killed right after the answer.
    record(&server, "b", "60").await;
    server.kill().await;
    server.restart().await;
    follow(&mut client, &mut screen, 4).await;

    // Killed before the answer, which may or may not be on its way.
    let unheard = server.record_unheard(&spend("c", "45")).await;
    server.kill().await;
    drop(unheard);
    server.restart().await;
    server.record_one(&spend("c", "45")).await;
    follow(&mut client, &mut screen, 6).await;

    // On the next day, before an answer that was certainly on its way.
    server.set_clock("2026-11-01T18:30:00Z");
    until(&mut client, &mut screen, "rollover").await;
    let unheard = server.record_unheard(&spend("d", "50")).await;
    follow(&mut client, &mut screen, 8).await;
    server.kill().await;
    drop(unheard);
    server.restart().await;
    let again = server.record_one(&spend("d", "50")).await;
    assert_eq!(
        (&again["status"], &again["offset"]),
        (&json!("duplicate"), &json!(7))
    );

    record(&server, "e", "1").await;
    follow(&mut client, &mut screen, 9).await;
    follow(&mut sleeper, &mut asleep, 9).await;
    for screen in [&screen, &asleep] {
        assert_eq!(
            screen.snapshots, 1,
            "neither day nor restart needs a new snapshot"
        );
        assert_eq!(
            screen.ids,
            [
                "a", "b", "alert-3", "alert-4", "c", "alert-6", "d", "alert-8", "e"
            ]
        );
        assert_eq!(
            screen.alerts,
            [
                ("month".to_owned(), 50, "2026-11-01".to_owned()),
                ("day".to_owned(), 100, "2026-11-01".to_owned()),
                ("month".to_owned(), 100, "2026-11-01".to_owned()),
                ("day".to_owned(), 100, "2026-11-02".to_owned()),
            ]
        );
        let mut ledger = Screen::default();
        ledger.apply(&server.snapshot().await);
        assert_eq!(screen.totals, ledger.totals);
        assert_eq!(screen.window("day"), ("2026-11-02", "51"));
        assert_eq!(screen.window("month"), ("2026-11-01", "156"));
    }
    assert_eq!(
        past(&server, "by=month&from=2026-10&to=2026-11").await,
        ["2026-10-01 40", "2026-11-01 156"]
    );
    assert_eq!(
        past(&server, "by=day&from=2026-10-31&to=2026-11-02").await,
        ["2026-10-31 40", "2026-11-01 105", "2026-11-02 51"]
    );

    server.kill().await;
    let sums = "SELECT count(*), min(offset), max(offset), sum(json ->> '$.amount'),
                       sum(json ->> '$.kind' = 'alert') FROM entry";
    assert_eq!(server.ask_sqlite(sums).await, "9|1|9|196|4");
}

pub(crate) async fn a_day_of_25_hours_is_one_day(stock: Stock) {
    // 00:30 on the day on which Berlin's clocks are set back.
    let server = Server::start_at("2026-10-24T22:30:00Z").await;
    server.edit(&json!({ "time_zone": "Europe/Berlin" })).await;
    let token = server.token("alice").await;
    let mut client = stock.client(&server.url, &token).start();
    let mut screen = Screen::default();
    client.connected().await;
    record(&server, "before", "1").await;
    follow(&mut client, &mut screen, 1).await;

    // 24 hours later it is 23:30.
    server.set_clock("2026-10-25T22:30:00Z");
    record(&server, "after", "2").await;
    follow(&mut client, &mut screen, 2).await;
    assert_eq!(screen.window("day"), ("2026-10-25", "3"));
    server.set_clock("2026-10-25T22:59:59.500Z");
    until(&mut client, &mut screen, "rollover").await;
    assert_eq!(screen.window("day"), ("2026-10-26", "0"));
    record(&server, "on Monday", "4").await;
    follow(&mut client, &mut screen, 3).await;
    assert_eq!(screen.window("day"), ("2026-10-26", "4"));
    assert_eq!(
        past(&server, "from=2026-10-24&to=2026-10-26").await,
        ["2026-10-25 3", "2026-10-26 4"]
    );
}

/// A profile in a zone whose midnights are at half past.
fn kolkata() -> Value {
    let budget = |window: &str, limit: &str, thresholds: &[u16]| json!({ "id": window, "unit": "CNY", "window": window, "limit": limit, "thresholds": thresholds });
    json!({
        "time_zone": "Asia/Kolkata",
        "budgets": [budget("month", "100", &[50, 100]), budget("day", "50", &[100])],
    })
}

fn spend(id: &str, amount: &str) -> Value {
    json!({ "id": id, "account": "alice", "amount": amount, "unit": "CNY" })
}

async fn record(server: &Server, id: &str, amount: &str) {
    let answer = server.record_one(&spend(id, amount)).await;
    assert_eq!(answer["status"], "recorded", "{answer}");
}

/// Start and amount of past days or months.
async fn past(server: &Server, query: &str) -> Vec<String> {
    let past = server
        .ask(&format!("/v1/accounts/alice/totals?{query}"))
        .await;
    let totals = past["totals"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    totals
        .map(|totals| format!("{} {}", text(&totals["start"]), text(&totals["amount"])))
        .collect()
}
