//! What stock clients add to a request by themselves, each on the routes where it does so.

use serde_json::json;
use tokio::net::TcpStream;

use crate::support::{
    api_server::{ApiServer, answer},
    feed_hub::host,
    raw_http::{RawServer, get},
    raw_sse::{self, RawSse},
    tokens::bearer,
};

/// What the polyfills of `EventSource` and Angular's service worker add to its address.
const EVENT_SOURCE: [&str; 6] = [
    "lastEventId=x",
    "evs_last_event_id=x",
    "evs_buffer_size_limit=262144",
    "evs_preamble=2056",
    "padding=true",
    "ngsw-bypass=true",
];

/// What jQuery and Ext JS add to a request that must not come from a cache.
const CACHE_BUSTERS: [&str; 2] = ["_=1799999999999", "_dc=1799999999999"];

#[tokio::test]
async fn an_event_source_says_in_its_address_how_far_it_is() {
    let host = host().await;
    host.record("alice", 1..=5).await;
    let first = async |query: &str, headers: &str| {
        let request = raw_sse::get(&format!("sse?{query}"), "1.1");
        let request = request.replacen("\r\n\r\n", &format!("\r\n{headers}\r\n"), 1);
        let tcp = TcpStream::connect(host.address).await.unwrap();
        let (name, message) = RawSse::ask(tcp, &request).await.event().await.unwrap();
        (name, message["from"].clone())
    };
    let mut positions = Vec::new();
    let tcp = TcpStream::connect(host.address).await.unwrap();
    let mut sse = RawSse::ask(tcp, &raw_sse::get("sse?recent=0", "1.1")).await;
    let (_, snapshot) = sse.event().await.unwrap();
    let mut position = snapshot["position"].clone();
    sse.event().await.unwrap();
    for number in 6..=8 {
        positions.push(position.as_str().unwrap().to_owned());
        host.record("alice", number..=number).await;
        position = sse.event().await.unwrap().1["position"].take();
    }
    let [at_5, at_6, at_7] = &positions[..] else {
        panic!("{positions:?}");
    };
    let update = |from: u64| ("update".to_owned(), json!(from));
    let id = |position: &str| format!("Last-Event-ID: {position}\r\n");

    for name in ["lastEventId", "evs_last_event_id"] {
        let query = format!("{name}={at_6}");
        assert_eq!(first(&query, "").await, update(7));
        // The address of the page is older than what the client has received since.
        let query = format!("after={at_5}&recent=3&{name}={at_6}");
        assert_eq!(first(&query, "").await, update(7));
        // A client that reconnects by itself has the address of its last start.
        assert_eq!(first(&query, &id(at_7)).await, update(8));
        // A client that has received nothing yet.
        let query = format!("after={at_5}&{name}=");
        assert_eq!(first(&query, "").await, update(6));
        assert_eq!(first(&query, "Last-Event-ID:\r\n").await, update(6));
    }
    // The polyfill leaves an empty parameter where it removes its own.
    let query = format!("&recent=0&lastEventId={at_7}");
    assert_eq!(first(&query, "").await, update(8));
}

#[tokio::test]
async fn what_an_event_source_adds_is_for_sse_alone() {
    let server = RawServer::open().await;
    let token = bearer(json!({}));
    let invalid = (Some(400), json!("invalid_query"));
    for query in EVENT_SOURCE {
        let taken = server.ask(get("alice", "sse", query, &token)).await;
        assert_eq!(taken.status(), Some(200), "{query}");
        for route in ["ws", "stream", "iframe", ""] {
            let refused = server.ask(get("alice", route, query, &token)).await;
            assert_eq!(refused.refusal(), invalid, "{route} {query}");
        }
    }
    let all = EVENT_SOURCE.map(|query| query.replace("evs_last_event_id=x", "recent=1"));
    let taken = server
        .ask(get("alice", "sse", &all.join("&"), &token))
        .await;
    assert_eq!(taken.status(), Some(200));
    for query in [
        "lastEventId=x&lastEventId=y",
        "lastEventId=x&evs_last_event_id=y",
        "padding=true&padding=true",
        "lasteventid=x",
        "evs_other=1",
        "t=1",
        "callback=f",
    ] {
        let refused = server.ask(get("alice", "sse", query, &token)).await;
        assert_eq!(refused.refusal(), invalid, "{query}");
    }
    server.assert_healthy().await;
}

#[tokio::test]
async fn a_cache_buster_is_taken_where_a_poll_has_one() {
    let server = ApiServer::start().await;
    let token = bearer(json!({ "scope": "watch admin push" }));
    let ask = async |method: reqwest::Method, path: &str, query: &str| {
        let path = format!("{path}?{query}");
        answer(server.request(method, &path).bearer_auth(&token)).await
    };
    let reads = [
        "/v1/feeds/alice",
        "/v1/feeds/alice/entries",
        "/v1/accounts/alice",
        "/v1/accounts/alice/totals",
    ];
    for buster in CACHE_BUSTERS {
        for path in reads {
            let taken = ask(reqwest::Method::GET, path, buster).await;
            assert_eq!(taken.status, 200, "{path} {buster}");
            for wrong in [&format!("{buster}&{buster}"), "x=1", "__=1", "t=1"] {
                let refused = ask(reqwest::Method::GET, path, wrong).await;
                assert_eq!(refused.refusal(), (400, "invalid_query"), "{path} {wrong}");
            }
        }
        let polled = ask(
            reqwest::Method::GET,
            reads[0],
            &format!("after=x&wait=0&{buster}"),
        )
        .await;
        assert_eq!(polled.body["reason"], "bad_position");
        for (method, path) in [
            (reqwest::Method::PUT, "/v1/accounts/alice"),
            (reqwest::Method::DELETE, "/v1/accounts/alice"),
            (reqwest::Method::POST, "/v1/tickets"),
            (reqwest::Method::POST, "/v1/events"),
        ] {
            let refused = ask(method, path, buster).await;
            assert_eq!(refused.refusal(), (400, "invalid_query"), "{path} {buster}");
        }
    }
    let server = RawServer::open().await;
    for buster in CACHE_BUSTERS {
        for route in ["ws", "sse", "stream", "iframe"] {
            let refused = server.ask(get("alice", route, buster, &token)).await;
            assert_eq!(refused.status(), Some(400), "{route} {buster}");
        }
    }
}
