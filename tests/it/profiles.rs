//! An account's name and time zone.

use reqwest::{Method, RequestBuilder};
use serde_json::json;

use super::server::{Server, admin, answer, event};

fn put(server: &Server, account: &str) -> RequestBuilder {
    server
        .request(Method::PUT, &format!("/v1/accounts/{account}"))
        .bearer_auth(admin())
}

#[tokio::test]
async fn a_profile_is_read_and_replaced() {
    let server = Server::start().await;
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
    let server = Server::start().await;
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
    let server = Server::start().await;
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
    let server = Server::start().await;
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
