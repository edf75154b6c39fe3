//! An account's name, time zone and budgets.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::api_server::{ApiServer, answer, event};

fn put(server: &ApiServer, account: &str) -> RequestBuilder {
    server.by_admin(Method::PUT, account)
}

#[tokio::test]
async fn a_profile_is_read_and_replaced() {
    let server = ApiServer::start().await;
    let before = answer(server.get("/v1/accounts/alice")).await;
    assert_eq!(before.status, 200);
    insta::assert_json_snapshot!("profile_before", before.body);

    let edited =
        put(&server, "alice").json(&json!({ "name": "Alice", "time_zone": "Asia/Shanghai" }));
    let edited = answer(edited).await;
    assert_eq!(edited.status, 200);
    insta::assert_json_snapshot!("profile_edited", edited.body);
    assert_ne!(edited.header("etag"), before.header("etag"));

    let after = answer(server.get("/v1/accounts/alice")).await;
    assert_eq!(after.body, edited.body);
    assert_eq!(after.header("etag"), edited.header("etag"));
    let tag = after.header("etag").unwrap();
    let unchanged = server
        .get("/v1/accounts/alice")
        .header("if-none-match", tag);
    assert_eq!(answer(unchanged).await.status, 304);

    let cleared = answer(put(&server, "alice").json(&json!({}))).await;
    assert_eq!(cleared.body["time_zone"], "UTC");
    assert!(cleared.body["name"].is_null());
}

#[tokio::test]
async fn an_edit_of_what_somebody_else_edited_is_refused() {
    let server = ApiServer::start().await;
    let read = answer(server.get("/v1/accounts/alice")).await;
    let tag = read.header("etag").unwrap();
    let mine = put(&server, "alice")
        .header("if-match", tag)
        .json(&json!({ "name": "A" }));
    assert_eq!(answer(mine).await.status, 200);
    let theirs = put(&server, "alice")
        .header("if-match", tag)
        .json(&json!({ "name": "B" }));
    let refused = answer(theirs).await;
    assert_eq!(refused.refusal(), (412, "revision_mismatch"));
    let garbage = put(&server, "alice")
        .header("if-match", "x")
        .json(&json!({ "name": "B" }));
    assert_eq!(answer(garbage).await.refusal(), (412, "revision_mismatch"));
    let any = put(&server, "alice")
        .header("if-match", "*")
        .json(&json!({ "name": "C" }));
    assert_eq!(answer(any).await.status, 200);
}

#[tokio::test]
async fn an_edit_changes_what_pollers_see() {
    let server = ApiServer::start().await;
    server.record(&event("1", "alice")).await;
    let snapshot = answer(server.get("/v1/feeds/alice")).await;
    let position = snapshot.body["position"].as_str().unwrap();
    answer(put(&server, "alice").json(&json!({ "time_zone": "Pacific/Auckland" }))).await;

    let changed = answer(server.get(&format!("/v1/feeds/alice?after={position}"))).await;
    assert_eq!(changed.body["type"], "snapshot");
    assert_eq!(changed.body["reason"], "profile_changed");
    let request = server.get("/v1/feeds/alice");
    let polled = request.header("if-none-match", snapshot.header("etag").unwrap());
    assert_eq!(answer(polled).await.status, 200);
}

#[tokio::test]
async fn bad_profiles_are_refused() {
    let server = ApiServer::start().await;
    for (text, status, code) in [
        ("", 400, "invalid_profile"),
        ("{", 400, "invalid_profile"),
        ("[]", 400, "invalid_profile"),
        (r#"{"nmae":"A"}"#, 400, "invalid_profile"),
        (r#"{"name":1}"#, 400, "invalid_profile"),
        (r#"{"revision":9}"#, 400, "invalid_profile"),
        (r#"{"time_zone":"Mars/Olympus"}"#, 400, "unknown_time_zone"),
        (
            r#"{"time_zone":"../../etc/passwd"}"#,
            400,
            "unknown_time_zone",
        ),
        (r#"{"time_zone":""}"#, 400, "unknown_time_zone"),
    ] {
        let request = put(&server, "alice").header("content-type", "application/json");
        let refused = answer(request.body(text)).await;
        assert_eq!(refused.refusal(), (status, code), "{text}");
    }
    let long = json!({ "name": "x".repeat(129) });
    let refused = answer(put(&server, "alice").json(&long)).await;
    assert_eq!(refused.refusal(), (400, "name_too_long"));
    let huge = json!({ "name": "x".repeat(70_000) });
    let refused = answer(put(&server, "alice").json(&huge)).await;
    assert_eq!(refused.refusal(), (413, "body_too_large"));
    let as_text = put(&server, "alice")
        .header("content-type", "text/plain")
        .body("{}");
    assert_eq!(
        answer(as_text).await.refusal(),
        (415, "unsupported_media_type")
    );
}

fn budget(changes: &Value) -> Value {
    let mut budget = json!({ "id": "food", "unit": "CNY", "window": "month",
                             "limit": "400", "thresholds": [50, 80, 100] });
    for (name, value) in changes.as_object().unwrap() {
        budget[name] = value.clone();
    }
    budget
}

#[tokio::test]
async fn budgets_are_read_as_they_count() {
    let server = ApiServer::start().await;
    let before = answer(server.get("/v1/feeds/alice")).await;
    assert_eq!(before.body["budgets"], json!([]));
    let sent = budget(&json!({ "limit": "400.50", "thresholds": [100, 50] }));
    let power = budget(
        &json!({ "id": "power", "meter": "power", "unit": "kWh", "window": "day", "limit": 400 }),
    );
    let edited = server
        .edit("alice", &json!({ "budgets": [sent, power] }))
        .await;
    assert_eq!(edited.status, 200, "{}", edited.text);
    let shown = json!([
        { "id": "food", "meter": "spend", "unit": "CNY", "window": "month", "limit": "400.50",
          "thresholds": [50, 100] },
        { "id": "power", "meter": "power", "unit": "kWh", "window": "day", "limit": "400",
          "thresholds": [50, 80, 100] },
    ]);
    assert_eq!(edited.body["budgets"], shown);
    let read = answer(server.get("/v1/accounts/alice")).await;
    assert_eq!(
        (&read.body, read.header("etag")),
        (&edited.body, edited.header("etag"))
    );
    let tag = read.header("etag").unwrap();
    let request = server
        .get("/v1/accounts/alice")
        .header("if-none-match", tag);
    assert_eq!(answer(request).await.status, 304);
    let after = answer(server.get("/v1/feeds/alice")).await;
    assert_eq!(after.body["budgets"], shown);
    assert_ne!(after.header("etag"), before.header("etag"));

    let without = server.edit("alice", &json!({ "name": "Alice" })).await;
    assert_eq!(without.body["budgets"], json!([]));
}

#[tokio::test]
async fn of_edits_of_one_revision_one_counts() {
    let server = ApiServer::start().await;
    let read = answer(server.get("/v1/accounts/alice")).await;
    let edits = (1..=8).map(|limit| {
        let profile = json!({ "budgets": [budget(&json!({ "limit": limit.to_string() }))] });
        let request = put(&server, "alice").header("if-match", read.header("etag").unwrap());
        answer(request.json(&profile))
    });
    let edits = futures_util::future::join_all(edits).await;
    let (done, refused): (Vec<_>, Vec<_>) = edits.iter().partition(|edit| edit.status == 200);
    assert_eq!((done.len(), refused.len()), (1, 7));
    for refused in refused {
        assert_eq!(refused.refusal(), (412, "revision_mismatch"));
    }
    let now = answer(server.get("/v1/accounts/alice")).await;
    assert_eq!(now.body, done[0].body);
}

#[tokio::test]
async fn bad_budgets_are_refused() {
    let server = ApiServer::start().await;
    let seventeen: Vec<u16> = (1..=17).collect();
    for changes in [
        json!({ "thresholds": [] }),
        json!({ "thresholds": [-5] }),
        json!({ "thresholds": [0] }),
        json!({ "thresholds": [1001] }),
        json!({ "thresholds": [1e9] }),
        json!({ "thresholds": [65_636] }),
        json!({ "thresholds": [50.5] }),
        json!({ "thresholds": ["50"] }),
        json!({ "thresholds": [80, 50, 80] }),
        json!({ "thresholds": seventeen }),
        json!({ "thresholds": null }),
        json!({ "limit": "0" }),
        json!({ "limit": 0 }),
        json!({ "limit": "-0" }),
        json!({ "limit": "-1" }),
        json!({ "limit": "1e30" }),
        json!({ "limit": 1e30 }),
        json!({ "limit": "abc" }),
        json!({ "limit": "1000000000000000" }),
        json!({ "limit": "0.0000000001" }),
        json!({ "limit": null }),
        json!({ "window": "week" }),
        json!({ "window": "Day" }),
        json!({ "id": "" }),
        json!({ "id": "x".repeat(129) }),
        json!({ "id": "a\nb" }),
        json!({ "id": 1 }),
        json!({ "unit": "" }),
        json!({ "unit": "€€€€€€€€€€€€€€€€€" }),
        json!({ "meter": "two words" }),
        json!({ "meter": "m".repeat(65) }),
        json!({ "treshold": [50] }),
    ] {
        let budget = budget(&changes);
        let refused = server.edit("alice", &json!({ "budgets": [budget] })).await;
        assert_eq!(refused.refusal(), (400, "invalid_budget"), "{changes}");
    }
    for list in [
        json!([budget(&json!({})), budget(&json!({}))]),
        json!([["food", "spend", "CNY", "month", "400", [50]]]),
        json!([null]),
        json!([{}]),
    ] {
        let refused = server.edit("alice", &json!({ "budgets": list })).await;
        assert_eq!(refused.refusal(), (400, "invalid_budget"), "{list}");
    }
    let many = |count: usize| {
        let budgets = (0..count).map(|id| budget(&json!({ "id": format!("b{id}") })));
        json!({ "budgets": budgets.collect::<Vec<_>>() })
    };
    let refused = server.edit("alice", &many(33)).await;
    assert_eq!(refused.refusal(), (400, "too_many_budgets"));
    for odd in [json!({}), json!("food")] {
        let refused = server.edit("alice", &json!({ "budgets": odd })).await;
        assert_eq!(refused.refusal(), (400, "invalid_profile"), "{odd}");
    }
    let unchanged = answer(server.get("/v1/accounts/alice")).await;
    assert_eq!(unchanged.body["revision"], 0);

    assert_eq!(server.edit("alice", &many(32)).await.status, 200);
    let longest = budget(&json!({
        "id": "界".repeat(128), "meter": "m".repeat(64), "unit": "u".repeat(16),
        "limit": "999999999999999.999999999", "thresholds": seventeen[..16].to_vec(),
    }));
    let longest = server.edit("alice", &json!({ "budgets": [longest] })).await;
    assert_eq!(longest.status, 200, "{}", longest.text);
}
