//! Pages of other origins, on every route, with and without a list.

use futures_util::future::join_all;
use serde_json::json;
use tallycast::{Origins, Quotas};

use super::{GETS, WRITES};
use crate::support::{
    attacked_server::AttackedServer,
    raw_http::{HANDSHAKE, RawAnswer},
    tokens::admin,
};

const LISTED: &str = "https://app.example";

/// Origins that a careless comparison takes for the listed one, or that a page chooses freely.
const FOREIGN: [&str; 20] = [
    "https://evil.example",
    "null",
    "NULL",
    "file://",
    "*",
    "",
    "https://app.example.evil.example",
    "https://evilapp.example",
    "https://app.example.",
    "https://app_example",
    "https://appXexample",
    "http://app.example",
    "https://app.example:8443",
    "https://app.example/",
    "https://app.example@evil.example",
    "https://app.example%00.evil.example",
    "https://app.example, https://evil.example",
    "https://app.example https://evil.example",
    "https://\u{430}pp.example",
    "https://app.example\u{1}",
];

/// Every route, with the headers that its request needs.
fn routes() -> Vec<(&'static str, String, &'static str)> {
    let engine = [
        ("GET", "/socket.io/?EIO=4&transport=polling"),
        ("POST", "/socket.io/?EIO=4&transport=polling&sid=x"),
        ("GET", "/socket.io/?EIO=4&transport=websocket"),
    ];
    let routes = GETS.iter().chain(&WRITES).chain(&engine);
    let routes = routes.map(|(method, path)| {
        let path = path.replace("{account}", "alice");
        let path = match path.ends_with("/iframe") {
            true => format!("{path}?callback=f"),
            false => path,
        };
        let is_websocket = path.ends_with("/ws") || path.ends_with("websocket");
        (*method, path, ["", HANDSHAKE][usize::from(is_websocket)])
    });
    routes.collect()
}

/// What an answer allows other origins.
fn cors(answer: &RawAnswer) -> Vec<String> {
    let (head, _) = answer.0.split_once("\r\n\r\n").unwrap_or((&answer.0, ""));
    let lines = head.lines().map(str::to_ascii_lowercase);
    lines
        .filter(|line| line.starts_with("access-control-allow-"))
        .collect()
}

#[tokio::test]
async fn with_a_list_every_route_refuses_foreign_pages_and_reflects_nothing() {
    let server = AttackedServer::with(Origins::allow([LISTED]).unwrap()).await;
    for (method, path, headers) in routes() {
        for origin in FOREIGN {
            for method in [method, "OPTIONS"] {
                let headers = format!(
                    "{headers}Origin: {origin}\r\nAccess-Control-Request-Method: {method}\r\n\
                     Access-Control-Request-Headers: x-evil\r\n"
                );
                let refused = server
                    .call_with(method, &path, &admin(), &headers, "")
                    .await;
                // A control character in a header is no request at all.
                let expected = [403, 400][usize::from(origin.contains('\u{1}'))];
                assert_eq!(
                    refused.status(),
                    Some(expected),
                    "{method} {path} {origin:?}"
                );
                assert_eq!(cors(&refused), [""; 0], "{method} {path} {origin:?}");
                assert!(!refused.0.contains("evil"), "{method} {path}: {refused:?}");
            }
        }
        let two = format!("{headers}Origin: {LISTED}\r\nOrigin: https://evil.example\r\n");
        let refused = server.call_with(method, &path, &admin(), &two, "").await;
        assert_eq!(refused.status(), Some(403), "{method} {path}");
        assert_eq!(cors(&refused), [""; 0], "{method} {path}");
    }
    let code = server
        .call_with("GET", "/v1/feeds/alice", &admin(), "Origin: null\r\n", "")
        .await;
    assert_eq!(code.refusal(), (Some(403), json!("origin_not_allowed")));
    server.assert_unharmed().await;
}

/// Whatever the policy: a page gets its own origin back only if it is listed, and never together with credentials.
#[tokio::test]
async fn no_policy_allows_credentials_or_reflects_an_unlisted_origin() {
    for (policy, origin, expected) in [
        (Origins::same_origin(), "https://evil.example", None),
        (
            Origins::allow(["*"]).unwrap(),
            "https://evil.example",
            Some("*"),
        ),
        (Origins::allow(["*"]).unwrap(), "null", Some("*")),
        (Origins::allow([LISTED]).unwrap(), LISTED, Some(LISTED)),
    ] {
        let server = AttackedServer::with(policy.clone()).await;
        for (method, path, headers) in routes() {
            // Erasing alice's account would be no attack.
            if method == "DELETE" {
                continue;
            }
            for method in [method, "OPTIONS"] {
                let headers = format!(
                    "{headers}Origin: {origin}\r\nAccess-Control-Request-Method: PUT\r\n\
                     Access-Control-Request-Headers: x-evil\r\n"
                );
                let answer = server
                    .call_with(method, &path, &admin(), &headers, "")
                    .await;
                let said = cors(&answer);
                let name = format!("{method} {path} from {origin} with {policy:?}: {said:?}");
                assert_ne!(answer.status(), Some(403), "{name}");
                let allowed = answer.header("access-control-allow-origin");
                // A handshake is no matter of CORS.
                if headers.starts_with("Origin") {
                    assert_eq!(allowed, expected, "{name}");
                }
                assert!(
                    said.iter().all(|line| !line.contains("credentials")),
                    "{name}"
                );
                assert!(said.iter().all(|line| !line.contains("x-evil")), "{name}");
            }
        }
        server.assert_unharmed().await;
    }
}

#[tokio::test]
async fn only_listed_pages_may_frame_the_iframe() {
    for (policy, ancestors) in [
        (Origins::same_origin(), "frame-ancestors 'self'"),
        (
            Origins::allow([LISTED]).unwrap(),
            "frame-ancestors 'self' https://app.example",
        ),
    ] {
        let server = AttackedServer::with(policy).await;
        let path = "/v1/feeds/alice/iframe?callback=f";
        let answer = server.call_with("GET", path, &admin(), "", "").await;
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.ends_with(ancestors), "{policy}");
        server.assert_unharmed().await;
    }
}

/// A preflight costs a request, also where it is answered before the route sees it.
#[tokio::test]
async fn preflights_are_limited_like_other_requests() {
    let quotas = Quotas {
        request_rate_per_address: 1,
        ..Quotas::default()
    };
    for path in ["/v1/events", "/socket.io/?EIO=4&transport=polling"] {
        let settings = AttackedServer::settings().quotas(quotas.clone());
        let settings = settings.allowed_origins(Origins::allow([LISTED]).unwrap());
        let server = AttackedServer::of(settings).await;
        let headers = format!("Origin: {LISTED}\r\nAccess-Control-Request-Method: POST\r\n");
        // Each waits a moment for its turn before it is refused, so they are sent at once.
        let asked = (0..30).map(|_| server.call_with("OPTIONS", path, "", &headers, ""));
        let answers = join_all(asked).await;
        let refused = answers.iter().filter(|answer| answer.status() == Some(429));
        assert!(refused.clone().count() >= 10, "{path}");
        for answer in refused {
            assert!(answer.header("retry-after").is_some(), "{path}: {answer:?}");
        }
    }
}
