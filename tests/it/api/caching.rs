//! No answer may be stored: each holds somebody's account, or is out of date with the next event.

use reqwest::{Method, RequestBuilder};
use serde_json::json;
use tallycast::Origins;

use crate::support::{
    api_server::{ApiServer, event},
    host::Host,
    tokens::admin,
};

/// Sends a request; the answer, of which the head is enough, must have this status and forbid storing.
async fn assert_not_stored(request: RequestBuilder, status: u16, what: &str) -> reqwest::Response {
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), status, "{what}");
    let caching = response.headers().get("cache-control");
    let caching = caching.map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(caching.as_deref(), Some("no-store"), "{what}: {status}");
    response
}

#[tokio::test]
async fn no_answer_of_the_api_may_be_stored() {
    let server = ApiServer::with_origins(Origins::allow(["https://app.example"]).unwrap()).await;
    let ask = |method: &str, path: &str| {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        server.request(method, path).bearer_auth(admin())
    };
    let one = event("1", "alice");
    let mut other = one.clone();
    other["amount"] = json!("9");
    let cloud = json!({ "specversion": "1.0", "id": "2", "source": "s", "type": "t", "subject": "alice",
        "data": { "amount": "1", "unit": "CNY" } });
    for (media_type, body, status) in [
        ("application/json", one.to_string(), 201),
        ("application/json", one.to_string(), 200),
        ("application/json", other.to_string(), 409),
        ("application/json", json!([one, other]).to_string(), 200),
        ("application/json", "[]".to_owned(), 200),
        ("application/json", "{}".to_owned(), 422),
        ("application/json", "{".to_owned(), 400),
        ("application/json", String::new(), 400),
        ("application/x-ndjson", format!("{one}\nx\n"), 200),
        ("application/cloudevents+json", cloud.to_string(), 201),
        (
            "application/cloudevents-batch+json",
            json!([cloud]).to_string(),
            200,
        ),
        ("text/plain", one.to_string(), 415),
    ] {
        let request = ask("POST", "/v1/events").header("content-type", media_type);
        assert_not_stored(request.body(body.clone()), status, &body).await;
    }
    for (method, path, body, status) in [
        ("GET", "/v1/feeds/alice", "", 200),
        ("HEAD", "/v1/feeds/alice", "", 200),
        ("GET", "/v1/feeds/alice?after=x", "", 200),
        ("GET", "/v1/feeds/alice?after=x&wait=99", "", 400),
        ("GET", "/v1/feeds/alice/entries", "", 200),
        ("GET", "/v1/feeds/alice/sse", "", 200),
        ("GET", "/v1/feeds/alice/stream", "", 200),
        ("GET", "/v1/feeds/alice/iframe?callback=f", "", 200),
        ("GET", "/v1/feeds/alice/ws", "", 400),
        ("GET", "/v1/accounts/alice", "", 200),
        ("PUT", "/v1/accounts/alice", "{}", 200),
        ("PUT", "/v1/accounts/alice", "[]", 400),
        ("GET", "/v1/accounts/alice/totals", "", 200),
        ("POST", "/v1/tickets", r#"{"account":"alice"}"#, 201),
        (
            "POST",
            "/v1/push",
            r#"{"to":{"all":true},"event":"e"}"#,
            200,
        ),
        ("POST", "/v1/push", "{}", 400),
        ("DELETE", "/v1/accounts/alice", "", 204),
        ("PATCH", "/v1/accounts/alice", "", 405),
        ("GET", "/v1/push", "", 405),
        ("POST", "/v1/feeds/alice/sse", "", 405),
        ("GET", "/v1/feeds/%ff", "", 400),
    ] {
        let what = format!("{method} {path}");
        let request = ask(method, path).header("content-type", "application/json");
        assert_not_stored(request.body(body), status, &what).await;
        let foreign = ask(method, path).header("origin", "https://evil.example");
        assert_not_stored(foreign, 403, &what).await;
        if status != 405 {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_not_stored(server.request(method, path), 401, &what).await;
        }
    }
    // Nothing new, and nothing changed.
    for path in ["/v1/feeds/alice", "/v1/accounts/alice"] {
        let seen = assert_not_stored(ask("GET", path), 200, path).await;
        let tag = seen.headers()["etag"].clone();
        let again = ask("GET", path).header("if-none-match", tag.clone());
        assert_not_stored(again, 304, path).await;
        let position = tag.to_str().unwrap().trim_matches('"');
        if path.contains("feeds") {
            let poll = ask("GET", &format!("{path}?after={position}"));
            assert_not_stored(poll, 204, path).await;
        }
    }
    for path in ["/health/live", "/health/ready", "/metrics"] {
        assert_not_stored(server.ask_admin(path), 200, path).await;
    }
}

#[tokio::test]
async fn no_answer_of_engine_io_may_be_stored() {
    let server = ApiServer::start().await;
    let host = Host::start(server.hub.clone()).await;
    let polling = "EIO=4&transport=polling";
    for (method, query, status) in [
        (Method::GET, polling, 200),
        (Method::POST, polling, 400),
        (Method::GET, "EIO=3&transport=polling", 400),
        (Method::GET, "EIO=4&transport=polling&sid=x", 400),
        (Method::GET, "EIO=4&transport=websocket", 400),
        (Method::GET, "", 400),
        (Method::PUT, polling, 400),
    ] {
        let what = format!("{method} {query}");
        assert_not_stored(host.request(method, query), status, &what).await;
    }
    let session = host.poll().await;
    let post = host.request(Method::POST, &session.query()).body("40");
    assert_not_stored(post, 200, "packets").await;
    let poll = host.request(Method::GET, &session.query());
    assert_not_stored(poll, 200, "a poll").await;
    let large = "x".repeat(200_000);
    let post = host.request(Method::POST, &session.query()).body(large);
    assert_not_stored(post, 413, "too much").await;
}
