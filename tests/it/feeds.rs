//! Polling: snapshots, the next message, waiting for it; and history.

use std::{collections::BTreeMap, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    forge::seconds,
    server::{SOON, Server, answer, bearer, event},
};

#[tokio::test]
async fn a_permitted_account_exists_before_its_first_event() {
    let server = Server::start().await;
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
    let server = Server::start().await;
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
    let server = Server::start().await;
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
    let server = Server::start().await;
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
    let server = Server::start().await;
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
    let server = Server::start().await;
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
    let server = Server::start().await;
    let snapshot = answer(server.get("/v1/feeds/alice")).await;
    let position = snapshot.body["position"].as_str().unwrap();
    let begun = tokio::time::Instant::now();
    let nothing = answer(server.get(&format!("/v1/feeds/alice?after={position}&wait=1"))).await;
    assert_eq!(nothing.status, 204);
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_long_poll_ends_with_its_grant() {
    let server = Server::start().await;
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
    let server = Server::start().await;
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
    let server = Server::start().await;
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

#[tokio::test]
async fn an_account_of_others_looks_like_none() {
    let server = Server::start().await;
    server.record(&event("1", "bob")).await;
    let alice = bearer(json!({ "scope": "watch record push admin" }));
    let mut seen = Vec::new();
    for account in ["bob", "nobody"] {
        for (method, path) in [
            (Method::GET, format!("/v1/feeds/{account}")),
            (Method::GET, format!("/v1/feeds/{account}?after=x&wait=9")),
            (Method::GET, format!("/v1/feeds/{account}?wait=77")),
            (Method::GET, format!("/v1/feeds/{account}/entries")),
            (Method::GET, format!("/v1/accounts/{account}")),
            (Method::PUT, format!("/v1/accounts/{account}")),
            (Method::DELETE, format!("/v1/accounts/{account}")),
            (Method::GET, format!("/v1/accounts/{account}/totals")),
            (
                Method::GET,
                format!("/v1/accounts/{account}/totals?by=week"),
            ),
        ] {
            let request = server.request(method, &path).bearer_auth(&alice);
            let absent = answer(request).await;
            assert_eq!(absent.refusal(), (404, "not_found"), "{path}");
            let mut headers = absent.headers.clone();
            headers.remove("date");
            seen.push((absent.text, headers));
        }
    }
    assert!(seen.windows(2).all(|two| two[0] == two[1]));
}

#[tokio::test]
async fn scopes_do_not_imply_each_other() {
    let server = Server::start().await;
    for (scope, method, path) in [
        ("record push admin", Method::GET, "/v1/feeds/alice"),
        ("record push admin", Method::GET, "/v1/feeds/alice/entries"),
        ("record push admin", Method::GET, "/v1/accounts/alice"),
        (
            "record push admin",
            Method::GET,
            "/v1/accounts/alice/totals",
        ),
        ("watch record push", Method::PUT, "/v1/accounts/alice"),
        ("watch record push", Method::DELETE, "/v1/accounts/alice"),
    ] {
        let token = bearer(json!({ "scope": scope }));
        let refused = answer(server.request(method, path).bearer_auth(token)).await;
        assert_eq!(refused.refusal(), (404, "not_found"), "{path}");
    }
}

#[tokio::test]
async fn every_route_wants_a_token_and_refuses_in_the_same_words() {
    let server = Server::start().await;
    let expired = bearer(json!({ "exp": seconds(-5) }));
    let mut seen = Vec::new();
    for (method, path) in [
        (Method::POST, "/v1/events"),
        (Method::GET, "/v1/feeds/alice"),
        (Method::GET, "/v1/feeds/alice?wait=NaN"),
        (Method::GET, "/v1/feeds/a%2Fb"),
        (Method::GET, "/v1/feeds/alice/entries"),
        (Method::GET, "/v1/accounts/alice"),
        (Method::PUT, "/v1/accounts/alice"),
        (Method::DELETE, "/v1/accounts/alice"),
        (Method::GET, "/v1/accounts/alice/totals?by=week"),
    ] {
        for authorization in [
            None,
            Some("Bearer"),
            Some("Bearer "),
            Some("Bearer x.y.z"),
            Some("Basic YWxpY2U6"),
            Some(format!("Bearer {expired}").as_str()),
            Some(bearer(json!({})).as_str()),
        ] {
            let mut request = server.request(method.clone(), path);
            if let Some(value) = authorization {
                request = request.header("authorization", value);
            }
            let refused = answer(request).await;
            assert_eq!(refused.refusal(), (401, "unauthorized"), "{path}");
            assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
            seen.push(refused.text);
        }
        let twice = server
            .request(method, path)
            .bearer_auth(bearer(json!({})))
            .bearer_auth(bearer(json!({})));
        assert_eq!(answer(twice).await.refusal(), (401, "unauthorized"));
    }
    assert!(seen.windows(2).all(|two| two[0] == two[1]));
    insta::assert_snapshot!(seen[0]);
}

/// The offsets of each page of alice's history that `query` begins, following `next` as `way`.
async fn pages(server: &Server, mut query: String, limit: usize, way: &str) -> Vec<Vec<u64>> {
    let mut pages = Vec::new();
    loop {
        let path = format!("/v1/feeds/alice/entries?limit={limit}&{query}");
        let page = answer(server.get(&path)).await;
        assert_eq!(page.status, 200);
        assert_eq!(page.header("cache-control"), Some("no-store"));
        let entries = page.body["entries"].as_array().unwrap();
        let offset = |entry: &Value| entry["offset"].as_u64().unwrap();
        pages.push(entries.iter().map(offset).collect());
        match page.body["next"].as_u64() {
            Some(next) => query = format!("{way}={next}"),
            None => return pages,
        }
    }
}

#[tokio::test]
async fn history_pages_backwards_to_the_first_entry() {
    let server = Server::start().await;
    let events: Vec<_> = (1..=7).map(|id| event(&id.to_string(), "alice")).collect();
    server.record(&json!(events)).await;
    let pages = pages(&server, String::new(), 3, "before").await;
    assert_eq!(pages, [vec![7, 6, 5], vec![4, 3, 2], vec![1]]);
    let empty = answer(server.get("/v1/feeds/bob/entries")).await;
    assert_eq!(empty.body["entries"], json!([]));
    assert!(empty.body["epoch"].is_string());
}

#[tokio::test]
async fn history_pages_forwards_to_the_latest_entry() {
    let server = Server::start().await;
    let events: Vec<_> = (1..=6).map(|id| event(&id.to_string(), "alice")).collect();
    server.record(&json!(events)).await;
    let after = async |offset: u64, limit| {
        let query = format!("after={offset}");
        pages(&server, query, limit, "after").await
    };
    assert_eq!(after(0, 4).await, [vec![1, 2, 3, 4], vec![5, 6]]);
    assert_eq!(after(0, 3).await, [[1, 2, 3], [4, 5, 6]]);
    assert_eq!(after(4, 1).await, [[5], [6]]);
    for end in [6, 7, 9_007_199_254_740_991] {
        assert_eq!(after(end, 200).await, [[0; 0]]);
    }
    let empty = answer(server.get("/v1/feeds/bob/entries?after=0")).await;
    assert_eq!(empty.body["entries"], json!([]));
    assert_eq!(empty.body["next"], Value::Null);
}

#[tokio::test]
async fn pages_of_long_entries_hold_fewer_and_still_meet() {
    let server = Server::start().await;
    let long: BTreeMap<_, _> = (1..=15).map(|n| (n.to_string(), "x".repeat(256))).collect();
    let events = (1..=60).map(|id| {
        let mut event = event(&id.to_string(), "alice");
        event["attributes"] = json!(long);
        event
    });
    server.record(&json!(events.collect::<Vec<_>>())).await;
    let pages = pages(&server, "after=0".to_owned(), 200, "after").await;
    assert!(pages.len() > 2, "{pages:?}");
    assert_eq!(pages.concat(), (1..=60).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_recorded_between_two_pages_forwards_comes_with_the_second() {
    let server = Server::start().await;
    let page = async |path: &str| answer(server.get(path)).await.body;
    let events: Vec<_> = (1..=3).map(|id| event(&id.to_string(), "alice")).collect();
    server.record(&json!(events)).await;
    let first = page("/v1/feeds/alice/entries?after=0&limit=2").await;
    assert_eq!(first["next"], 2);
    server.record(&event("4", "alice")).await;
    let second = page("/v1/feeds/alice/entries?after=2&limit=2").await;
    let ids = [&second["entries"][0]["id"], &second["entries"][1]["id"]];
    assert_eq!(ids, ["3", "4"]);
    assert_eq!(second["next"], Value::Null);
    assert_eq!(second["epoch"], first["epoch"]);
}
