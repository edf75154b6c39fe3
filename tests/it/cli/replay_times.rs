//! `tallycast replay` with dates and times of every shape: a date is counted as this date in its account's time zone,
//! and no time is made up.

use std::{collections::BTreeMap, process::Output};

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{
    SOON,
    binary::{ServedBinary, Workdir},
    scripted_server::{ScriptedServer, refused},
};

const DATE: &str = "2024-01-31";
const EVERYWHERE: [&str; 8] = [
    "Pacific/Pago_Pago",
    "America/Los_Angeles",
    "America/New_York",
    "UTC",
    "Asia/Kolkata",
    "Asia/Shanghai",
    "Pacific/Auckland",
    "Pacific/Kiritimati",
];

/// A server with an account in each of these zones, named after it.
struct Shop {
    workdir: Workdir,
    served: ServedBinary,
    watcher: String,
}

impl Shop {
    async fn open() -> Self {
        let workdir = Workdir::new();
        let served = workdir.serve(&["--ledger", "memory"]).await;
        let everything = ["--scope", "admin", "--accounts", "*"];
        let admin = workdir.token(&everything).await;
        for zone in EVERYWHERE {
            let profile = json!({ "time_zone": zone });
            let edited = reqwest::Client::new()
                .put(format!("{}/v1/accounts/{}", served.public, account(zone)))
                .bearer_auth(&admin)
                .json(&profile);
            assert_eq!(edited.send().await.unwrap().status(), 200);
        }
        Self {
            watcher: workdir.token(&["--accounts", "*"]).await,
            workdir,
            served,
        }
    }

    /// Replays rows with a token that has these scopes.
    async fn replay(&self, rows: &str, scope: &str, more: &[&str]) -> Output {
        let token = self
            .workdir
            .token(&["--scope", scope, "--accounts", "*"])
            .await;
        let rows = format!("customer_id,date,dollars\n{rows}");
        self.workdir.write("sales.csv", &rows);
        let words = [
            "replay",
            "sales.csv",
            "--to",
            &self.served.public,
            "--token",
            &token,
        ];
        self.workdir.run(&[&words, more].concat()).await
    }

    async fn get(&self, path: &str) -> Value {
        let request = reqwest::Client::new()
            .get(format!("{}/v1/{path}", self.served.public))
            .bearer_auth(&self.watcher)
            .timeout(SOON);
        let response = request.send().await.unwrap();
        response.error_for_status().unwrap().json().await.unwrap()
    }

    /// How many entries of a zone's account count on which date.
    async fn days(&self, zone: &str) -> BTreeMap<String, u64> {
        let query = "by=day&from=2024-01-01&to=2024-02-29";
        let past = self
            .get(&format!("accounts/{}/totals?{query}", account(zone)))
            .await;
        let days = past["totals"].as_array().unwrap().iter();
        days.map(|day| {
            let start = day["start"].as_str().unwrap().to_owned();
            (start, day["count"].as_u64().unwrap())
        })
        .collect()
    }

    /// The times of an account's entries, oldest first.
    async fn times(&self, account: &str) -> Vec<String> {
        let snapshot = self.get(&format!("feeds/{account}?recent=100")).await;
        let entries = snapshot["recent"].as_array().unwrap().iter();
        entries
            .map(|entry| entry["time"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn account(zone: &str) -> String {
    zone.replace('/', "-")
}

/// Twelve rows of this date for each account.
fn rows() -> String {
    let row = |zone| format!("{},{DATE},1.00\n", account(zone));
    EVERYWHERE.map(row).concat().repeat(12)
}

fn twelve_on_the_date() -> BTreeMap<String, u64> {
    BTreeMap::from([(DATE.to_owned(), 12)])
}

fn errors(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

#[tokio::test]
async fn a_date_counts_on_this_date_in_the_zone_of_each_account() {
    let shop = Shop::open().await;
    for expected in ["recorded 96, duplicate 0", "recorded 0, duplicate 96"] {
        let output = shop.replay(&rows(), "watch record", &[]).await;
        assert!(output.status.success(), "{output:?}");
        assert!(output.stdout.starts_with(expected.as_bytes()), "{output:?}");
        assert_eq!(errors(&output), "");
    }
    for zone in EVERYWHERE {
        assert_eq!(shop.days(zone).await, twelve_on_the_date(), "{zone}");
    }
}

#[tokio::test]
async fn a_zone_that_is_given_is_used_for_all_and_nothing_is_asked() {
    let shop = Shop::open().await;
    for zone in EVERYWHERE {
        let row = format!("{},{DATE},1.00\n", account(zone));
        let more = ["--time-zone", zone, "--source", zone];
        let output = shop.replay(&row.repeat(12), "record", &more).await;
        assert!(output.status.success(), "{output:?}");
        assert_eq!(errors(&output), "");
        assert_eq!(shop.days(zone).await, twelve_on_the_date(), "{zone}");
    }
    let output = shop
        .replay(
            "a,2024-01-31,1\n",
            "record",
            &["--time-zone", "Nowhere/Land"],
        )
        .await;
    assert_eq!(output.status.code(), Some(2));
    assert!(
        errors(&output).contains("`Nowhere/Land` is not known"),
        "{output:?}"
    );
}

#[tokio::test]
async fn a_token_that_may_only_record_keeps_dates_nearly_everywhere_and_says_so() {
    let shop = Shop::open().await;
    let output = shop.replay(&rows(), "record", &[]).await;
    assert!(output.status.success(), "{output:?}");
    let warning = errors(&output);
    assert_eq!(warning.lines().count(), 1, "{warning}");
    assert!(warning.contains("--time-zone"), "{warning}");
    for zone in &EVERYWHERE[..6] {
        assert_eq!(shop.days(zone).await, twelve_on_the_date(), "{zone}");
    }
    // No choice of a zone matters to rows with offsets.
    let output = shop
        .replay("a,2024-01-31T09:30:00Z,1\n", "record", &["--source", "x"])
        .await;
    assert_eq!(errors(&output), "");
}

#[tokio::test]
async fn a_time_keeps_its_zone_or_has_its_accounts() {
    let shop = Shop::open().await;
    let shanghai = account("Asia/Shanghai");
    let cells = [
        ("2024-01-31T09:30[America/New_York]", "2024-01-31T14:30:00Z"),
        (
            "2024-07-31T09:30-04:00[America/New_York]",
            "2024-07-31T13:30:00Z",
        ),
        ("2024-01-31 23:30", "2024-01-31T15:30:00Z"),
        ("2024-01-31T23:30:00.5", "2024-01-31T15:30:00.5Z"),
        ("2024-01-31T23:30:00+00:00", "2024-01-31T23:30:00Z"),
        ("2024-01-31 23:30Z", "2024-01-31T23:30:00Z"),
    ];
    let rows = cells.map(|(cell, _)| format!("{shanghai},{cell},1\n"));
    let output = shop.replay(&rows.concat(), "watch record", &[]).await;
    assert!(output.status.success(), "{output:?}");
    assert_eq!(shop.times(&shanghai).await, cells.map(|(_, time)| time));
}

#[tokio::test]
async fn a_time_that_would_be_guessed_keeps_all_of_the_file_back() {
    let shop = Shop::open().await;
    for cell in [
        "20240131T093000",
        "2024-01-31T0930",
        "2024-01-31 09",
        "2024-01-31T09:30+08:00[America/New_York]",
        "2024-01-31T09:30[Nowhere/Land]",
        "2024-01-31[America/New_York]",
        "2024-01-31Z",
        "2024-02-30",
    ] {
        let rows = format!("a,2024-01-30,1\na,{cell},1\n");
        let output = shop.replay(&rows, "watch record", &[]).await;
        assert_eq!(
            (output.status.code(), &*output.stdout),
            (Some(2), &b""[..]),
            "{cell}"
        );
        let place = format!("sales.csv, row 2 (line 3): the time `{cell}` cannot be read");
        assert!(errors(&output).contains(&place), "{output:?}");
        assert_eq!(shop.times("a").await, [""; 0]);
    }
}

#[tokio::test]
async fn a_zone_is_asked_for_once_and_again_if_the_server_is_busy() {
    let profile = || Json(json!({ "account": "a", "time_zone": "Asia/Shanghai" })).into_response();
    let recorded = |count| {
        let result = json!({ "status": "recorded" });
        Json(json!({ "results": vec![result; count] })).into_response()
    };
    let replay = async |answers: Vec<Response>, more: &[&str]| {
        let workdir = Workdir::new();
        let rows = "a,2024-01-31,1\n".repeat(3) + "a,2024-02-01,1\na,2024-02-01T09:30,1\n";
        workdir.write("sales.csv", &format!("customer_id,date,dollars\n{rows}"));
        let server = ScriptedServer::of(answers).await;
        let words = ["replay", "sales.csv", "--to", &server.url, "--token", "x"];
        (workdir.run(&[&words, more].concat()).await, server)
    };
    let busy = || refused(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "wait");
    let (output, mut server) = replay(vec![busy(), profile(), recorded(5)], &[]).await;
    assert!(output.status.success(), "{output:?}");
    for path in ["/v1/accounts/a", "/v1/accounts/a", "/v1/events"] {
        assert_eq!(server.asked().await, path);
    }
    for more in [["--times", "now"], ["--time-zone", "Asia/Tokyo"]] {
        let (output, mut server) = replay(vec![recorded(5)], &more).await;
        assert!(output.status.success(), "{output:?}");
        assert_eq!(server.asked().await, "/v1/events");
    }
    let denied = || refused(StatusCode::UNAUTHORIZED, "unauthorized", "no");
    let strange = || Json(json!({ "time_zone": "Mars/Olympus" })).into_response();
    let other = || Json(json!([])).into_response();
    for (answer, why) in [
        (denied(), "401 Unauthorized, unauthorized: no"),
        (strange(), "the time zone `Mars/Olympus` is not known"),
        (other(), "the answer is not an account's profile"),
    ] {
        let (output, _) = replay(vec![answer], &[]).await;
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.starts_with(b"recorded 0"), "{output:?}");
        assert!(errors(&output).contains(why), "{output:?}");
    }
}
