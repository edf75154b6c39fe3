//! Requests that read much: how many a token may have under way, and what happens to the others.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, Response},
};
use futures_util::future::{join_all, select_all};
use reqwest::Method;
use serde_json::{Value, json};
use tallycast::{Account, Event, Hub, Jwt, domain::ProfileChange};
use tokio::task::JoinHandle;
use tower::ServiceExt;

use crate::support::{
    api_server::{ApiServer, answer},
    feed_hub::account,
    gate::Gate,
    hook_ledger::{HookLedger, Read},
    tokens::{SECRET, bearer},
};

/// How many heavy requests a token may have under way.
const HEAVY_MAX: usize = 4;

/// A heavy request.
const EVER: &str = "/v1/accounts/slow/totals?by=day&from=0001-01-01&to=9999-12-31";

/// A ledger whose heavy reads of the account `slow` wait at a gate.
fn gated() -> (HookLedger, Arc<Gate>) {
    let gate = Arc::<Gate>::default();
    let passed = gate.clone();
    let ledger = HookLedger::of_reads(move |account: &Account, read| {
        if account.as_str() == "slow" && matches!(read, Read::Days | Read::Happened) {
            passed.pass();
        }
    });
    (ledger, gate)
}

/// A token to watch the account of the subject's own, and `slow`.
fn watcher_of_slow(subject: &str) -> String {
    bearer(json!({ "sub": subject, "accounts": [subject, "slow"] }))
}

async fn router(ledger: HookLedger) -> Router {
    let hub = Hub::builder(ledger, Jwt::hs256(SECRET).unwrap()).build();
    hub.await.unwrap().router()
}

async fn get(router: &Router, path: &str, token: &str) -> Response<Body> {
    let request = Request::get(path).header("authorization", format!("Bearer {token}"));
    let request = request.body(Body::empty()).unwrap();
    router.clone().oneshot(request).await.unwrap()
}

async fn body(response: Response<Body>) -> Value {
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    serde_json::from_slice(&body).unwrap()
}

/// Takes the first answers, which are refusals, and returns the requests that are still under way.
async fn refused(
    mut requests: Vec<JoinHandle<Response<Body>>>,
    count: usize,
) -> Vec<JoinHandle<Response<Body>>> {
    for _ in 0..count {
        let (refused, _, rest) = select_all(requests).await;
        requests = rest;
        let refused = refused.unwrap();
        assert_eq!(refused.status(), 429);
        assert_eq!(refused.headers()["retry-after"], "2");
        assert_eq!(body(refused).await["code"], "too_many_requests");
    }
    requests
}

/// On four threads and one queue, the first four would keep everybody waiting.
#[tokio::test]
async fn reads_of_others_do_not_wait_for_heavy_ones() {
    let (ledger, gate) = gated();
    let server = ApiServer::on(ledger).await;
    let mallory = watcher_of_slow("mallory");
    let heavy = (0..300).map(|_| {
        let request = server.request(Method::GET, EVER).bearer_auth(&mallory);
        tokio::spawn(answer(request))
    });
    let heavy: Vec<_> = heavy.collect();
    gate.held(1).await;
    for path in [
        "/v1/feeds/alice",
        "/v1/feeds/alice/entries",
        "/v1/accounts/alice",
        "/v1/accounts/alice/totals",
    ] {
        let request = server
            .request(Method::GET, path)
            .bearer_auth(bearer(json!({})));
        assert_eq!(answer(request).await.status, 200, "{path}");
    }
    assert_eq!(gate.waiting(), 1, "one heavy read of a token at a time");
    gate.open();
    heavy.iter().for_each(JoinHandle::abort);
}

/// The clock is paused: while all wait, it moves on by itself.
#[tokio::test(start_paused = true)]
async fn a_token_has_few_heavy_requests_under_way_and_further_ones_are_refused() {
    let (ledger, gate) = gated();
    let router = router(ledger).await;
    let (mallory, bob) = (watcher_of_slow("mallory"), watcher_of_slow("bob"));
    let heavy = |_| {
        let (router, mallory) = (router.clone(), mallory.clone());
        tokio::spawn(async move { get(&router, EVER, &mallory).await })
    };
    let heavy: Vec<_> = (0..300).map(heavy).collect();
    gate.held(1).await;
    let under_way = refused(heavy, 300 - HEAVY_MAX).await;
    // Neither another token nor a light request of this one is concerned.
    let other = get(&router, "/v1/accounts/bob/totals", &bob).await;
    assert_eq!(other.status(), 200);
    let light = get(&router, "/v1/feeds/slow", &mallory).await;
    assert_eq!(light.status(), 200);
    gate.open();
    for answered in join_all(under_way).await {
        assert_eq!(answered.unwrap().status(), 200);
    }
}

/// So that the answers that are in memory are bounded.
#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_takes_is_still_under_way() {
    let (ledger, gate) = gated();
    gate.open();
    let router = router(ledger).await;
    let mallory = watcher_of_slow("mallory");
    let mut untaken = Vec::new();
    for _ in 0..HEAVY_MAX {
        let answered = get(&router, EVER, &mallory).await;
        assert_eq!(answered.status(), 200);
        untaken.push(answered);
    }
    let further = get(&router, EVER, &mallory).await;
    assert_eq!(further.status(), 429);
    let taken = body(untaken.pop().unwrap()).await;
    assert_eq!(taken["totals"], json!([]));
    let further = get(&router, EVER, &mallory).await;
    assert_eq!(further.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn edits_that_count_a_large_account_are_heavy_requests() {
    const EDITS: usize = 7;
    let (ledger, gate) = gated();
    let hub = Hub::builder(ledger, Jwt::hs256(SECRET).unwrap()).build();
    let hub = hub.await.unwrap();
    let events = (0..1_000).map(|id| Event::consumption(id.to_string(), "slow", "1", "CNY"));
    hub.feed().append_all(events.collect()).await.unwrap();
    let token = bearer(json!({ "sub": "office", "scope": "admin", "accounts": "*" }));
    let edit = |_| {
        let request = Request::put("/v1/accounts/slow")
            .header("authorization", format!("Bearer {token}"))
            .body(Body::from(r#"{ "time_zone": "Asia/Shanghai" }"#));
        let edited = hub.router().oneshot(request.unwrap());
        tokio::spawn(async move { edited.await.unwrap() })
    };
    let edits: Vec<_> = (0..EDITS).map(edit).collect();
    gate.held(1).await;
    let under_way = refused(edits, EDITS - HEAVY_MAX).await;
    // Meanwhile events are recorded, and small accounts get another zone.
    let event = Event::consumption("meanwhile", "slow", "1", "CNY");
    hub.feed().append(event).await.unwrap();
    let zone = ProfileChange {
        time_zone: Some("Asia/Tokyo".to_owned()),
        ..ProfileChange::default()
    };
    let small = hub.feed().for_subject("office");
    small.set_profile(&account("small"), zone).await.unwrap();
    gate.open();
    for edited in join_all(under_way).await {
        assert_eq!(edited.unwrap().status(), 200);
    }
    let path = "/v1/accounts/slow/totals";
    let totals = body(get(&hub.router(), path, &watcher_of_slow("slow")).await).await;
    assert_eq!(totals["time_zone"], "Asia/Shanghai");
    let count = |day: &Value| day["count"].as_u64().unwrap();
    let days = totals["totals"].as_array().unwrap();
    assert_eq!(days.iter().map(count).sum::<u64>(), 1_001);
}
