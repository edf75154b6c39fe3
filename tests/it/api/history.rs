//! The pages of an account's history.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::api_server::{ApiServer, answer, event};

/// The offsets on each page of alice's history from `query` on; `way` is the parameter for `next`.
async fn pages(server: &ApiServer, mut query: String, limit: usize, way: &str) -> Vec<Vec<u64>> {
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
    let server = ApiServer::start().await;
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
    let server = ApiServer::start().await;
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
    let server = ApiServer::start().await;
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
    let server = ApiServer::start().await;
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
