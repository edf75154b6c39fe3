//! Which pages may call.

use http::{
    HeaderMap, HeaderValue,
    header::{HOST, ORIGIN},
};
use reqwest::Method;
use tallycast::Origins;

use super::server::{Server, admin, answer};

fn headers(origin: Option<&str>, host: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [(ORIGIN, origin), (HOST, host)] {
        if let Some(value) = value {
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
    }
    headers
}

#[test]
fn a_list_lets_in_what_it_names_and_the_servers_own() {
    let origins = Origins::allow(["https://App.example.com", "http://localhost:5173"]).unwrap();
    let host = Some("tally.example.com");
    for (origin, welcome) in [
        (None, true),
        (Some("https://app.example.com"), true),
        (Some("https://app.example.com:443"), true),
        (Some("http://localhost:5173"), true),
        (Some("https://tally.example.com"), true),
        (Some("http://tally.example.com"), true),
        (Some("https://TALLY.example.com:443"), true),
        (Some("https://tally.example.com:444"), false),
        (Some("http://app.example.com"), false),
        (Some("https://app.example.com:8443"), false),
        (Some("https://app.example.com.evil.org"), false),
        (Some("https://evilapp.example.com"), false),
        (Some("https://app-example.com"), false),
        (Some("https://app.example.com@evil.org"), false),
        (Some("https://evil.org/https://app.example.com"), false),
        (Some("https://app.example.com "), false),
        (Some("https://app.example.com, https://evil.org"), false),
        (Some("http://localhost"), false),
        (Some("null"), false),
        (Some("*"), false),
        (Some(""), false),
        (Some("tally.example.com"), false),
        (Some("://tally.example.com"), false),
    ] {
        let checked = origins.check(&headers(origin, host));
        assert_eq!(checked.is_ok(), welcome, "{origin:?}");
        if let Err(denied) = checked {
            assert_eq!(denied.code(), "origin_not_allowed");
        }
    }
}

#[test]
fn an_origin_passes_as_own_only_with_a_host_to_compare() {
    let origins = Origins::allow(["https://app.example.com"]).unwrap();
    assert!(origins.check(&headers(Some("https://x"), None)).is_err());
    assert!(
        origins
            .check(&headers(Some("https://x"), Some("")))
            .is_err()
    );
    let own = headers(Some("http://127.0.0.1:3000"), Some("127.0.0.1:3000"));
    assert!(origins.check(&own).is_ok());
    let with_default_port = headers(Some("https://x"), Some("x:443"));
    assert!(origins.check(&with_default_port).is_ok());
}

#[test]
fn two_origins_are_none() {
    let origins = Origins::allow(["https://app.example.com"]).unwrap();
    let mut two = headers(Some("https://app.example.com"), Some("tally.example.com"));
    two.append(ORIGIN, HeaderValue::from_static("https://app.example.com"));
    assert!(origins.check(&two).is_err());
}

#[test]
fn without_a_list_nothing_is_refused() {
    let foreign = headers(Some("https://evil.org"), Some("tally.example.com"));
    assert!(Origins::same_origin().check(&foreign).is_ok());
    assert!(Origins::allow(["*"]).unwrap().check(&foreign).is_ok());
    let empty: [&str; 0] = [];
    assert!(Origins::allow(empty).unwrap().check(&foreign).is_ok());
}

#[test]
fn a_list_of_what_is_no_origin_is_refused() {
    for wrong in [
        "app.example.com",
        "https://app.example.com/",
        "https://app.example.com/path",
        "https://*.example.com",
        "https://",
        "https://user@example.com",
        "null",
        "",
    ] {
        let refused = Origins::allow([wrong]).unwrap_err();
        assert_eq!(refused.code(), "bad_origin", "{wrong:?}");
    }
}

async fn listed() -> Server {
    Server::with_origins(Origins::allow(["https://app.example.com"]).unwrap()).await
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
    let server = Server::start().await;
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
