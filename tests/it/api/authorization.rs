//! Callers without a token, without the scope, or of another account: each gets one answer on every route.

use reqwest::Method;
use serde_json::json;

use crate::support::{
    api_server::{ApiServer, answer, event},
    tokens::{bearer, seconds},
};

#[tokio::test]
async fn an_account_of_others_looks_like_none() {
    let server = ApiServer::start().await;
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
    let server = ApiServer::start().await;
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
    let server = ApiServer::start().await;
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
