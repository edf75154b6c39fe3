//! Polling a feed: snapshots, the next message, and long polls.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::time::timeout;

use crate::support::{
    SOON,
    api_server::{ApiServer, answer, event},
    tokens::{bearer, seconds},
};

#[tokio::test]
async fn a_permitted_account_exists_before_its_first_event() {
    let server = ApiServer::start().await;
    let empty = answer(server.get("/v1/feeds/nobody%20yet")).await;
    assert_eq!(empty.status, 200);
    assert_eq!(empty.header("content-type"), Some("application/json"));
    assert_eq!(empty.header("cache-control"), Some("no-store"));
    let position = empty.body["position"].as_str().unwrap();
    assert_eq!(
        empty.header("etag"),
        Some(format!("\"{position}\"").as_str())
    );
    insta::assert_json_snapshot!(empty.body, { ".position" => "[position]" });
}

#[tokio::test]
async fn an_unchanged_snapshot_is_not_sent_again() {
    let server = ApiServer::start().await;
    server.record(&event("1", "alice")).await;
    let first = answer(server.get("/v1/feeds/alice")).await;
    let tag = first.header("etag").unwrap();

    for unchanged in [
        tag.to_owned(),
        format!("W/{tag}"),
        format!("\"other\", {tag}"),
        "*".to_owned(),
    ] {
        let request = server.get("/v1/feeds/alice");
        let again = answer(request.header("if-none-match", &unchanged)).await;
        assert_eq!(again.status, 304, "{unchanged}");
        assert_eq!(again.text, "");
        assert_eq!(again.header("etag"), Some(tag));
    }
    server.record(&event("2", "alice")).await;
    let request = server.get("/v1/feeds/alice");
    let changed = answer(request.header("if-none-match", tag)).await;
    assert_eq!(changed.status, 200);
    assert_eq!(changed.body["offset"], 2);
}

#[tokio::test]
async fn recent_says_how_many_entries_a_snapshot_shows() {
    let server = ApiServer::start().await;
    let events: Vec<_> = (1..=30).map(|id| event(&id.to_string(), "alice")).collect();
    server.record(&json!(events)).await;
    for (query, count) in [
        ("", 20),
        ("?recent=0", 0),
        ("?recent=5", 5),
        ("?recent=100", 30),
    ] {
        let snapshot = answer(server.get(&format!("/v1/feeds/alice{query}"))).await;
        let recent = snapshot.body["recent"].as_array().unwrap();
        assert_eq!(recent.len(), count, "{query}");
        if let Some(last) = recent.last() {
            assert_eq!(last["offset"], 30);
        }
    }
}

#[tokio::test]
async fn polling_from_a_position_gets_what_came_after_it_and_nothing_else() {
    let server = ApiServer::start().await;
    server.record(&event("1", "alice")).await;
    let snapshot = answer(server.get("/v1/feeds/alice")).await;
    let mut position = snapshot.body["position"].as_str().unwrap().to_owned();
    let nothing = answer(server.get(&format!("/v1/feeds/alice?after={position}"))).await;
    assert_eq!((nothing.status.as_u16(), nothing.text.as_str()), (204, ""));
    assert_eq!(nothing.header("cache-control"), Some("no-store"));

    for id in ["2", "3", "4"] {
        server.record(&event(id, "alice")).await;
    }
    let mut offsets = Vec::new();
    loop {
        let next = answer(server.get(&format!("/v1/feeds/alice?after={position}&wait=0"))).await;
        if next.status == 204 {
            break;
        }
        assert_eq!(next.body["type"], "update");
        position = next.body["position"].as_str().unwrap().to_owned();
        assert_eq!(
            next.header("etag"),
            Some(format!("\"{position}\"").as_str())
        );
        for entry in next.body["entries"].as_array().unwrap() {
            offsets.push(entry["offset"].as_u64().unwrap());
        }
    }
    assert_eq!(offsets, [2, 3, 4]);
}

#[tokio::test]
async fn a_position_that_cannot_be_used_gets_a_snapshot_that_says_so() {
    let server = ApiServer::start().await;
    server.record(&event("1", "alice")).await;
    let of_alice = answer(server.get("/v1/feeds/alice")).await;
    let of_alice = of_alice.body["position"].as_str().unwrap().to_owned();
    let long = "x".repeat(7_000);
    for (account, after) in [
        ("alice", ""),
        ("alice", "nonsense"),
        ("alice", "%00%ff"),
        ("alice", &long),
        ("bob", &of_alice),
    ] {
        let reset = answer(server.get(&format!("/v1/feeds/{account}?after={after}"))).await;
        assert_eq!(reset.status, 200);
        assert_eq!(reset.body["type"], "snapshot", "{after:.20}");
        assert_eq!(reset.body["reason"], "bad_position", "{after:.20}");
    }
}

#[tokio::test]
async fn a_long_poll_is_answered_by_the_event_that_it_waits_for() {
    let server = ApiServer::start().await;
    let snapshot = answer(server.get("/v1/feeds/alice")).await;
    let position = snapshot.body["position"].as_str().unwrap();
    let poll = server.get(&format!("/v1/feeds/alice?after={position}&wait=55"));
    let poll = tokio::spawn(answer(poll));
    server.record(&event("other", "bob")).await;
    server.record(&event("1", "alice")).await;
    let update = timeout(SOON, poll).await.unwrap().unwrap();
    assert_eq!(update.status, 200);
    assert_eq!(update.body["type"], "update");
    assert_eq!(update.body["from"], 1);
    assert_eq!(update.body["entries"][0]["id"], "1");
}

#[tokio::test]
async fn a_long_poll_that_nothing_answers_ends_empty() {
    let server = ApiServer::start().await;
    let snapshot = answer(server.get("/v1/feeds/alice")).await;
    let position = snapshot.body["position"].as_str().unwrap();
    let begun = tokio::time::Instant::now();
    let nothing = answer(server.get(&format!("/v1/feeds/alice?after={position}&wait=1"))).await;
    assert_eq!(nothing.status, 204);
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_long_poll_ends_with_its_grant() {
    let server = ApiServer::start().await;
    let token = bearer(json!({ "exp": seconds(2) }));
    let request = |query: String| {
        let request = server.request(Method::GET, &format!("/v1/feeds/alice{query}"));
        request.bearer_auth(&token)
    };
    let snapshot = answer(request(String::new())).await;
    let position = snapshot.body["position"].as_str().unwrap();
    let expired = answer(request(format!("?after={position}&wait=55"))).await;
    assert_eq!(expired.refusal(), (401, "unauthorized"));
}

#[tokio::test]
async fn a_long_poll_ends_when_the_server_closes() {
    let server = ApiServer::start().await;
    let snapshot = answer(server.get("/v1/feeds/alice")).await;
    let position = snapshot.body["position"].as_str().unwrap();
    let poll = server.get(&format!("/v1/feeds/alice?after={position}&wait=55"));
    let poll = tokio::spawn(answer(poll));
    server.hub.drain(Duration::ZERO).await;
    let closed = timeout(SOON, poll).await.unwrap().unwrap();
    assert_eq!(closed.refusal(), (503, "shutting_down"));
    assert!(closed.header("retry-after").is_some());
    let ready = answer(server.ask_admin("/health/ready")).await;
    assert_eq!(ready.refusal(), (503, "shutting_down"));
}

#[tokio::test]
async fn odd_queries_are_refused() {
    let server = ApiServer::start().await;
    for path in [
        "/v1/feeds/alice?wait=NaN",
        "/v1/feeds/alice?wait=-1",
        "/v1/feeds/alice?wait=1.5",
        "/v1/feeds/alice?wait=56",
        "/v1/feeds/alice?wait=",
        "/v1/feeds/alice?wait=99999999999999999999",
        "/v1/feeds/alice?recent=-1",
        "/v1/feeds/alice?recent=101",
        "/v1/feeds/alice?after=a&after=b",
        "/v1/feeds/alice?wait=1&wait=2",
        "/v1/feeds/alice?afetr=a",
        "/v1/feeds/alice/entries?limit=-1",
        "/v1/feeds/alice/entries?limit=0",
        "/v1/feeds/alice/entries?limit=201",
        "/v1/feeds/alice/entries?limit=ten",
        "/v1/feeds/alice/entries?limit=1&limit=1",
        "/v1/feeds/alice/entries?before=0",
        "/v1/feeds/alice/entries?before=-1",
        "/v1/feeds/alice/entries?before=9007199254740992",
        "/v1/feeds/alice/entries?befor=1",
        "/v1/feeds/alice/entries?after=-1",
        "/v1/feeds/alice/entries?after=",
        "/v1/feeds/alice/entries?after=9007199254740992",
        "/v1/feeds/alice/entries?after=1&after=1",
        "/v1/feeds/alice/entries?after=1&limit=201",
        "/v1/feeds/alice/entries?after=1&before=3",
        "/v1/accounts/alice?name=Bob",
    ] {
        let refused = answer(server.get(path)).await;
        assert_eq!(refused.refusal(), (400, "invalid_query"), "{path}");
    }
    for path in ["/v1/feeds/a%2Fb", "/v1/feeds/%00", "/v1/feeds/%ff"] {
        let refused = answer(server.get(path)).await;
        assert_eq!(refused.refusal(), (400, "invalid_account"), "{path}");
    }
    let long = format!("/v1/feeds/{}", "x".repeat(129));
    let refused = answer(server.get(&long)).await;
    assert_eq!(refused.refusal(), (400, "invalid_account"));
}
