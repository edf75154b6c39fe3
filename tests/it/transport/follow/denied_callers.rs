//! Foreign pages, unauthenticated callers, and callers of another account: each gets one answer, on every
//! transport.

use serde_json::{Value, json};
use tallycast::Origins;

use crate::support::{
    feed_hub::account,
    raw_http::{OPEN_ROUTES, RawServer, get, request},
    tokens::{Key, OTHER_SECRET, SECRET, base64_url, bearer, claims, seconds, token},
};

#[tokio::test]
async fn pages_from_elsewhere_are_refused_on_every_route() {
    let server = RawServer::with(Origins::allow(["https://app.example"]).unwrap()).await;
    let token = bearer(json!({ "scope": "watch push record", "accounts": ["alice"] }));
    let post = |path: &str, headers: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n{headers}Connection: close\r\n\r\n"
        )
    };
    let requests = |origin: &str| {
        let headers = format!("{origin}Authorization: Bearer {token}\r\n");
        let gets = OPEN_ROUTES.into_iter().chain(["", "entries"]);
        let gets = gets.map(|route| request("GET", "alice", route, "", &headers));
        let posts = ["/v1/push", "/v1/tickets", "/v1/events"];
        let posts = posts.map(|path| post(path, &headers));
        let polling = format!(
            "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n{headers}\
             Connection: close\r\n\r\n"
        );
        gets.chain(posts).chain([polling]).collect::<Vec<_>>()
    };
    for origin in [
        "https://evil.example",
        "null",
        "https://app.example.evil",
        "https://evilapp.example",
        "http://app.example",
        "https://app.example:8443",
        "https://app.example@evil.example",
        "https://app.example/",
        "https://app.example, https://evil.example",
        "*",
        "",
    ] {
        for request in requests(&format!("Origin: {origin}\r\n")) {
            let refused = server.ask(&request).await;
            assert_eq!(refused.status(), Some(403), "{origin:?}: {request}");
            let reflected = refused.header("access-control-allow-origin");
            assert_eq!(reflected, None, "{origin:?}");
        }
    }
    for origin in [
        "",
        "Origin: https://app.example\r\n",
        "Origin: http://x\r\n",
        "Origin: wss://x:443\r\n",
        "Origin: ws://x:80\r\n",
    ] {
        for request in requests(origin) {
            let status = server.ask(&request).await.status();
            assert!(status.is_some_and(|status| status != 403), "{request}");
        }
    }
    server.assert_healthy().await;
}

#[tokio::test]
async fn whoever_is_not_known_gets_one_answer_everywhere() {
    let server = RawServer::open().await;
    let secret = Key::secret(SECRET);
    let made = |header: Value, changes: Value| token(&header, &claims(changes), &secret);
    let hs256 = json!({ "alg": "HS256" });
    let good = bearer(json!({}));
    let unsigned = good.rsplit_once('.').unwrap().0;
    let bad = [
        token(&json!({ "alg": "none" }), &claims(json!({})), &Key::None),
        token(&hs256, &claims(json!({})), &Key::secret(OTHER_SECRET)),
        made(json!({ "alg": "none" }), json!({})),
        made(json!({ "alg": "HS512" }), json!({})),
        made(hs256.clone(), json!({ "exp": null })),
        made(hs256.clone(), json!({ "exp": "tomorrow" })),
        made(hs256.clone(), json!({ "exp": -1 })),
        made(hs256.clone(), json!({ "exp": seconds(-120) })),
        made(hs256, json!({ "sub": null })),
        format!("{unsigned}."),
        unsigned.to_owned(),
        format!("{good}.{good}"),
        "..".to_owned(),
        base64_url("{}"),
        "a".repeat(9_000),
        // A token is not a ticket.
        good.clone(),
        format!("ticket.{good}"),
        "ticket.".to_owned(),
    ];
    for route in OPEN_ROUTES {
        let mut answers = Vec::new();
        for bad in &bad {
            let ticket = format!("ticket={bad}");
            if *bad != good {
                answers.push(server.ask(get("alice", route, "", bad)).await);
                // The header takes precedence.
                answers.push(server.ask(get("alice", route, &ticket, bad)).await);
            }
            answers.push(
                server
                    .ask(request("GET", "alice", route, &ticket, ""))
                    .await,
            );
        }
        answers.push(server.ask(request("GET", "alice", route, "", "")).await);
        answers.push(
            server
                .ask(request("GET", "alice", route, "ticket=", ""))
                .await,
        );
        let basic = "Authorization: Basic YTpi\r\n";
        answers.push(server.ask(request("GET", "alice", route, "", basic)).await);
        let twice = format!("Authorization: Bearer {good}\r\n").repeat(2);
        answers.push(server.ask(request("GET", "alice", route, "", &twice)).await);
        for answer in &answers {
            assert_eq!(
                answer.refusal(),
                (Some(401), json!("unauthorized")),
                "{route}"
            );
            assert_eq!(
                answer.undated(),
                answers[0].undated(),
                "{route}: one answer for all"
            );
        }
    }
    server.assert_healthy().await;
}

/// A browser adds credentials of its own, which are for the proxy or the page.
#[tokio::test]
async fn credentials_of_another_scheme_leave_the_ticket_to_count() {
    let server = RawServer::open().await;
    let ticket = server.ticket(&bearer(json!({}))).await;
    let opens = async |query: &str, authorization: &[u8]| {
        let mut statuses = Vec::new();
        for route in OPEN_ROUTES {
            let request = request("GET", "alice", route, query, "Authorization: @\r\n");
            let (before, after) = request.split_once('@').unwrap();
            let request = [before.as_bytes(), authorization, after.as_bytes()].concat();
            statuses.push(server.ask(request).await.status().unwrap());
        }
        statuses
    };
    let ticket = format!("ticket={ticket}");
    for other in [
        &b"Basic YTpi"[..],
        b"basic YTpi",
        b"Digest username=\"a\", realm=\"b\"",
        b"Negotiate YII=",
        b"NTLM TlRMTVNTUAABAAAA",
        b"Bearers abc",
        b"Bearer-like abc",
        b"Basic",
        b"Bearer",
        b"",
        b"Basic \xe9\xff",
        b"\xe9",
    ] {
        let shown = String::from_utf8_lossy(other);
        assert_eq!(opens(&ticket, other).await, [101, 200, 200, 200], "{shown}");
        assert_eq!(opens("", other).await, [401; 4], "{shown}");
        assert_eq!(opens("ticket=ticket.x", other).await, [401; 4], "{shown}");
    }
    // A Bearer is what the client means, even one that is no token.
    for bearer in ["Bearer abc", "bearer abc", "BEARER  abc"] {
        assert_eq!(
            opens(&ticket, bearer.as_bytes()).await,
            [401; 4],
            "{bearer}"
        );
    }
    server.assert_healthy().await;
}

#[tokio::test]
async fn anothers_account_is_as_absent_as_one_that_never_was() {
    let server = RawServer::open().await;
    let token = bearer(json!({}));
    let ticket = format!("ticket={}", server.ticket(&token).await);
    let position = server.host.hub.feed().snapshot(&account("bob"), 0).await;
    let after = format!("after={}", position.unwrap().position());
    for route in OPEN_ROUTES.into_iter().chain([""]) {
        let mut answers = Vec::new();
        for account in ["bob", "nobody"] {
            answers.push(server.ask(get(account, route, "", &token)).await);
            answers.push(server.ask(get(account, route, &after, &token)).await);
            if !route.is_empty() {
                answers.push(
                    server
                        .ask(request("GET", account, route, &ticket, ""))
                        .await,
                );
            }
        }
        for answer in &answers {
            assert_eq!(answer.refusal(), (Some(404), json!("not_found")), "{route}");
            assert_eq!(answer.undated(), answers[0].undated(), "{route}");
        }
    }
    // Bob's position is not accepted on alice's feed.
    let answer = server.ask_to_end(&get("alice", "", &after, &token)).await;
    assert!(answer.contains(r#""reason":"bad_position""#), "{answer}");
    server.assert_healthy().await;
}
