//! CORS: what a page of an allowed origin may do, and how other pages are refused.

use reqwest::Method;
use tallycast::Origins;

use crate::support::{
    api_server::{ApiServer, answer},
    tokens::admin,
};

async fn listed() -> ApiServer {
    ApiServer::with_origins(Origins::allow(["https://app.example.com"]).unwrap()).await
}

#[tokio::test]
async fn a_listed_page_reads_answers_and_their_headers() {
    let server = listed().await;
    let request = server.get("/v1/feeds/alice");
    let welcome = answer(request.header("origin", "https://app.example.com")).await;
    assert_eq!(welcome.status, 200);
    let allowed = welcome.header("access-control-allow-origin");
    assert_eq!(allowed, Some("https://app.example.com"));
    let exposed = welcome.header("access-control-expose-headers").unwrap();
    assert!(exposed.contains("etag") && exposed.contains("retry-after"));
    assert_eq!(welcome.header("access-control-allow-credentials"), None);
    let varies = welcome.header("vary").unwrap().to_ascii_lowercase();
    assert!(varies.contains("origin"));
}

#[tokio::test]
async fn a_listed_page_may_send_a_token() {
    let server = listed().await;
    let preflight = server
        .request(Method::OPTIONS, "/v1/events")
        .header("origin", "https://app.example.com")
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization,content-type",
        );
    let preflight = answer(preflight).await;
    assert_eq!(preflight.status, 200);
    let headers = preflight.header("access-control-allow-headers").unwrap();
    assert!(headers.contains("authorization") && headers.contains("content-type"));
}

#[tokio::test]
async fn a_listed_page_may_go_on_over_sse_by_fetch() {
    let server = listed().await;
    let preflight = server
        .request(Method::OPTIONS, "/v1/feeds/alice/sse")
        .header("origin", "https://app.example.com")
        .header("access-control-request-method", "GET")
        .header(
            "access-control-request-headers",
            "authorization,last-event-id",
        );
    let preflight = answer(preflight).await;
    assert_eq!(preflight.status, 200);
    let headers = preflight.header("access-control-allow-headers").unwrap();
    assert!(headers.contains("last-event-id"), "{headers}");
}

#[tokio::test]
async fn a_foreign_page_is_refused_everywhere() {
    let server = listed().await;
    for origin in [
        "https://evil.org",
        "null",
        "https://app.example.com.evil.org",
    ] {
        for (method, path) in [
            (Method::GET, "/v1/feeds/alice"),
            (Method::GET, "/v1/feeds/alice?after=x&wait=1"),
            (Method::GET, "/v1/feeds/alice/entries"),
            (Method::GET, "/v1/accounts/alice"),
            (Method::POST, "/v1/events"),
            (Method::OPTIONS, "/v1/events"),
        ] {
            let request = server.request(method, path).bearer_auth(admin());
            let refused = answer(request.header("origin", origin)).await;
            assert_eq!(refused.refusal(), (403, "origin_not_allowed"), "{path}");
            assert_eq!(refused.header("access-control-allow-origin"), None);
        }
    }
}

#[tokio::test]
async fn the_servers_own_page_and_programs_are_not_foreign() {
    let server = listed().await;
    let own = format!("http://{}", server.address);
    let request = server.get("/v1/feeds/alice");
    assert_eq!(answer(request.header("origin", own)).await.status, 200);
    assert_eq!(answer(server.get("/v1/feeds/alice")).await.status, 200);
}

#[tokio::test]
async fn without_a_list_no_cors_header_is_sent() {
    let server = ApiServer::start().await;
    let request = server.get("/v1/feeds/alice");
    let answered = answer(request.header("origin", "https://evil.org")).await;
    assert_eq!(answered.status, 200);
    let names = answered.headers.keys();
    assert!(
        names
            .into_iter()
            .all(|name| !name.as_str().starts_with("access-control"))
    );
}
