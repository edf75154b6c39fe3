//! Revoked tokens are refused on every route, and so are their tickets.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tallycast::{Hub, Jwt, Memory, domain::Revocation};
use tokio::time::timeout;

use crate::support::{
    SOON,
    api_server::{Answer, ApiServer, answer, event},
    hook_ledger::HookLedger,
    host::Host,
    tokens::{SECRET, admin, bearer, seconds},
};

/// Ids and subjects that a careless implementation confuses or refuses.
const ODD_TEXTS: [&str; 8] = [
    "a/b?c#d%20 +",
    "\"quoted\" \\ and 'more'",
    " leading and trailing ",
    "Ünïcödé 电 \u{202e}\u{2028}",
    "e\u{301} is not é",
    "\0\u{1}\n",
    "*",
    "1; DROP TABLE revocation; --",
];

impl ApiServer {
    async fn revoke(&self, revocation: &Value) -> Answer {
        let request = self.request(Method::POST, "/v1/revocations");
        answer(request.bearer_auth(admin()).json(revocation)).await
    }

    /// Revokes what must be possible to revoke; returns the answer's body.
    async fn revoked(&self, revocation: &Value) -> Value {
        let answer = self.revoke(revocation).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        answer.body
    }

    /// The status of a request with this token.
    async fn status_of(&self, token: &str) -> u16 {
        let request = self.request(Method::GET, "/v1/accounts/alice");
        let answer = answer(request.bearer_auth(token)).await;
        answer.status.as_u16()
    }
}

fn now() -> Value {
    json!(Timestamp::now().to_string())
}

/// An instant that is so many seconds ahead.
fn ahead(seconds: i64) -> String {
    (Timestamp::now() + SignedDuration::from_secs(seconds)).to_string()
}

#[tokio::test]
async fn a_revoked_token_is_refused_on_every_route_in_the_same_words() {
    let server = ApiServer::start().await;
    server.record(&event("1", "alice")).await;
    let everything = json!({ "scope": "watch record push admin", "accounts": "*", "jti": "lost" });
    let lost = bearer(everything);
    assert_eq!(server.status_of(&lost).await, 200);
    server.revoked(&json!({ "jti": "lost" })).await;
    let mut seen = Vec::new();
    for (method, path) in [
        (Method::POST, "/v1/events"),
        (Method::POST, "/v1/tickets"),
        (Method::POST, "/v1/push"),
        (Method::POST, "/v1/revocations"),
        (Method::POST, "/v1/disconnect"),
        (Method::GET, "/v1/feeds/alice"),
        (Method::GET, "/v1/feeds/alice?after=x&wait=9"),
        (Method::GET, "/v1/feeds/alice/entries"),
        (Method::GET, "/v1/feeds/alice/sse"),
        (Method::GET, "/v1/feeds/alice/stream"),
        (Method::GET, "/v1/feeds/alice/iframe?callback=f"),
        (Method::GET, "/v1/feeds/alice/ws"),
        (Method::GET, "/v1/accounts/alice"),
        (Method::GET, "/v1/accounts/alice/totals"),
        (Method::PUT, "/v1/accounts/alice"),
        (Method::DELETE, "/v1/accounts/alice"),
    ] {
        for token in [lost.as_str(), "x.y.z"] {
            let request = server.request(method.clone(), path).bearer_auth(token);
            let refused = answer(request).await;
            assert_eq!(refused.refusal(), (401, "unauthorized"), "{path}");
            let mut headers = refused.headers.clone();
            headers.remove("date");
            seen.push((refused.text, headers));
        }
    }
    assert!(seen.windows(2).all(|two| two[0] == two[1]));
    assert_eq!(server.offset("alice").await, 1, "nothing was erased");
}

#[tokio::test]
async fn one_token_is_revoked_and_no_other() {
    let server = ApiServer::start().await;
    let token = |id: &str| bearer(json!({ "jti": id, "iat": seconds(-9) }));
    for id in ODD_TEXTS {
        let before = Timestamp::now();
        let body = server.revoked(&json!({ "jti": id })).await;
        assert_eq!(body["jti"], id);
        let kept: Timestamp = body["expires_at"].as_str().unwrap().parse().unwrap();
        let days = kept.duration_since(before).as_hours() / 24;
        assert_eq!(days, 400);
        assert_eq!(server.status_of(&token(id)).await, 401, "{id:?}");
    }
    for other in [
        "a/b",
        "é is not é",
        "leading and trailing",
        "\0",
        "alice",
        "",
    ] {
        assert_eq!(server.status_of(&token(other)).await, 200, "{other:?}");
    }
    // A subject is no id, and the other way round.
    assert_eq!(server.status_of(&bearer(json!({ "iat": 1 }))).await, 200);
    server.revoked(&json!({ "jti": "alice" })).await;
    assert_eq!(server.status_of(&bearer(json!({ "iat": 1 }))).await, 200);
    // As long as an id in a token can be, each byte of it escaped.
    let long = "\u{1}".repeat(8 * 1024);
    server.revoked(&json!({ "jti": long })).await;
}

#[tokio::test]
async fn what_a_subject_was_issued_before_is_revoked() {
    let server = ApiServer::start().await;
    for subject in ODD_TEXTS {
        let token = |iat: Value| {
            let claims = json!({ "sub": subject, "accounts": ["alice"], "iat": iat, "jti": "j" });
            bearer(claims)
        };
        let (before, at) = (token(json!(1_700_000_000)), token(json!(1_700_000_001)));
        let (just, none) = (token(json!(1_700_000_000.999)), token(Value::Null));
        for token in [&before, &just, &none, &at] {
            assert_eq!(server.status_of(token).await, 200);
        }
        let instant = "2023-11-14T22:13:21Z";
        let wanted = json!({ "subject": subject, "issued_before": instant });
        let body = server.revoked(&wanted).await;
        assert_eq!(
            (&body["subject"], &body["issued_before"]),
            (&json!(subject), &json!(instant))
        );
        for (token, status) in [(&before, 401), (&just, 401), (&none, 401), (&at, 200)] {
            assert_eq!(server.status_of(token).await, status, "{subject:?}");
        }
    }
    let other = bearer(json!({ "iat": 1 }));
    assert_eq!(server.status_of(&other).await, 200);
}

#[tokio::test]
async fn a_subject_gets_new_tokens_at_once() {
    let server = ApiServer::start().await;
    let lost = bearer(json!({ "iat": seconds(-1) }));
    let wanted = json!({ "subject": "alice", "issued_before": now() });
    server.revoked(&wanted).await;
    assert_eq!(server.status_of(&lost).await, 401);
    // The next second of the issuer's clock.
    let new = bearer(json!({ "iat": seconds(1) }));
    assert_eq!(server.status_of(&new).await, 200);
}

#[tokio::test]
async fn a_second_revocation_takes_nothing_back() {
    let server = ApiServer::start().await;
    let day = |day: u8| format!("2023-11-{day:02}T00:00:00Z");
    let revoke = async |before: u8, expires_at: &str| {
        let wanted = json!({
            "subject": "alice", "issued_before": day(before), "expires_at": expires_at,
        });
        server.revoked(&wanted).await
    };
    let (far, near) = ("2200-01-01T00:00:00Z", ahead(60));
    revoke(20, &near).await;
    let body = revoke(10, far).await;
    assert_eq!(body["issued_before"], day(20));
    assert_eq!(body["expires_at"], far);
    let body = revoke(21, &near).await;
    assert_eq!(body["issued_before"], day(21));
    assert_eq!(body["expires_at"], far);
}

#[tokio::test]
async fn a_revocation_ends_at_its_time() {
    let server = ApiServer::start().await;
    let token = bearer(json!({ "jti": "brief" }));
    let end = Timestamp::now() + SignedDuration::from_millis(700);
    let wanted = json!({ "jti": "brief", "expires_at": end.to_string() });
    server.revoked(&wanted).await;
    assert_eq!(server.status_of(&token).await, 401);
    let ended = async {
        while server.status_of(&token).await != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, ended).await.expect("it ends");
    assert!(Timestamp::now() >= end);
}

#[tokio::test]
async fn only_an_administrator_revokes_and_disconnects() {
    let server = ApiServer::start().await;
    for (path, body) in [
        ("/v1/revocations", json!({ "jti": "lost" })),
        ("/v1/disconnect", json!({ "subject": "alice" })),
    ] {
        let ask = |token: Option<String>| {
            let request = server.request(Method::POST, path).json(&body);
            match token {
                Some(token) => request.bearer_auth(token),
                None => request,
            }
        };
        let others = json!({ "scope": "watch record push", "accounts": "*" });
        let refused = answer(ask(Some(bearer(others)))).await;
        assert_eq!(refused.refusal(), (404, "not_found"));
        assert_eq!(answer(ask(None)).await.refusal(), (401, "unauthorized"));
        let odd = server.request(Method::POST, &format!("{path}?force=1"));
        let odd = answer(odd.bearer_auth(admin()).json(&body)).await;
        assert_eq!(odd.refusal(), (400, "invalid_query"));
        let get = server.request(Method::GET, path).bearer_auth(admin());
        assert_eq!(answer(get).await.refusal(), (405, "method_not_allowed"));
        let done = answer(ask(Some(bearer(json!({ "scope": "admin" }))))).await;
        assert!(done.status.is_success(), "{}", done.text);
    }
    // An account that the token does not cover looks like none.
    let bob = server.request(Method::POST, "/v1/disconnect");
    let bob = bob.bearer_auth(bearer(json!({ "scope": "admin" })));
    let refused = answer(bob.json(&json!({ "account": "bob" }))).await;
    assert_eq!(refused.refusal(), (404, "not_found"));
}

#[tokio::test]
async fn what_is_no_revocation_is_refused() {
    let server = ApiServer::start().await;
    let past = "2023-11-14T22:13:20Z";
    for wrong in [
        json!({}),
        json!([]),
        json!("jti"),
        json!({ "jti": "" }),
        json!({ "jti": null }),
        json!({ "jti": 7 }),
        json!({ "jti": "x".repeat(8 * 1024 + 1) }),
        json!({ "jti": "a", "more": 1 }),
        json!({ "jti": "a", "subject": "alice" }),
        json!({ "jti": "a", "issued_before": past }),
        json!({ "jti": "a", "subject": "alice", "issued_before": past }),
        json!({ "subject": "alice" }),
        json!({ "subject": "", "issued_before": past }),
        json!({ "issued_before": past }),
        json!({ "subject": "alice", "issued_before": 1_700_000_000 }),
        json!({ "subject": "alice", "issued_before": "yesterday" }),
        json!({ "subject": "alice", "issued_before": "2023-11-14" }),
        json!({ "subject": "alice", "issued_before": "2023-11-14T22:13:20" }),
        json!({ "subject": "alice", "issued_before": "2023-11-14T22:13:20Z[UTC]" }),
        // Tokens that are issued from now on would be refused as well.
        json!({ "subject": "alice", "issued_before": ahead(60) }),
        json!({ "subject": "alice", "issued_before": "9999-01-01T00:00:00Z" }),
        json!({ "jti": "a", "expires_at": past }),
        json!({ "jti": "a", "expires_at": now() }),
        json!({ "jti": "a", "expires_at": "never" }),
        json!({ "jti": "a", "expires_at": null, "expires": past }),
    ] {
        let refused = server.revoke(&wrong).await;
        assert_eq!(refused.refusal(), (400, "invalid_revocation"), "{wrong}");
    }
    for text in ["", "{", r#"{"jti":"a","jti":"b"}"#] {
        let request = server.request(Method::POST, "/v1/revocations");
        let request = request.bearer_auth(admin()).body(text);
        let refused = answer(request).await;
        assert_eq!(refused.refusal(), (400, "invalid_revocation"), "{text}");
    }
    let long = server.revoke(&json!({ "jti": "x".repeat(60_000) })).await;
    assert_eq!(long.refusal(), (413, "body_too_large"));
    assert_eq!(server.status_of(&bearer(json!({ "jti": "a" }))).await, 200);
    // An issuer's clock may be a little ahead.
    let soon = json!({ "subject": "bob", "issued_before": ahead(20) });
    server.revoked(&soon).await;
}

#[tokio::test]
async fn what_names_no_connections_is_refused() {
    let server = ApiServer::start().await;
    for (wrong, code) in [
        (json!({}), "invalid_disconnect"),
        (json!([]), "invalid_disconnect"),
        (json!({ "subject": "" }), "invalid_disconnect"),
        (json!({ "subject": 7 }), "invalid_disconnect"),
        (
            json!({ "subject": "a", "account": "a" }),
            "invalid_disconnect",
        ),
        (json!({ "jti": "a" }), "invalid_disconnect"),
        (json!({ "account": "" }), "invalid_account"),
        (json!({ "account": "a/b" }), "invalid_account"),
    ] {
        let request = server.request(Method::POST, "/v1/disconnect");
        let refused = answer(request.bearer_auth(admin()).json(&wrong)).await;
        assert_eq!(refused.refusal(), (400, code), "{wrong}");
    }
}

#[tokio::test]
async fn tickets_end_with_their_token() {
    let server = ApiServer::start().await;
    let host = Host::start(server.hub.clone()).await;
    for (claims, revocation) in [
        (json!({ "jti": "lost" }), json!({ "jti": "lost" })),
        (
            json!({ "sub": "carol", "accounts": ["alice"], "iat": seconds(-5) }),
            json!({ "subject": "carol", "issued_before": now() }),
        ),
        (
            json!({ "sub": "dave", "accounts": ["alice"] }),
            json!({ "subject": "dave", "issued_before": "2023-11-14T22:13:20Z" }),
        ),
    ] {
        let minting = server.request(Method::POST, "/v1/tickets");
        let minted = answer(minting.bearer_auth(bearer(claims))).await;
        let ticket = minted.body["ticket"].as_str().unwrap().to_owned();
        let path = |route: &str| {
            let sign = if route.contains('?') { '&' } else { '?' };
            format!("/v1/feeds/alice/{route}{sign}ticket={ticket}")
        };
        // Opened before the revocation.
        let mut streams = Vec::new();
        for route in ["sse", "stream", "iframe?callback=f"] {
            let stream = server.request(Method::GET, &path(route)).send().await;
            streams.push(stream.unwrap());
        }
        let url = format!("ws://{}{}", host.address, path("ws"));
        let (mut ws, _) = tokio_tungstenite::connect_async(&url).await.unwrap();
        let query = format!("EIO=4&transport=websocket&ticket={ticket}");
        let mut socket = host.try_ws(&query).await.unwrap();
        socket.text().await;
        assert!(socket.join("40/feed,").await.starts_with("40/feed,{"));

        server.revoked(&revocation).await;
        for stream in streams {
            let text = timeout(SOON, stream.text())
                .await
                .expect("its end")
                .unwrap();
            assert!(text.contains(r#""code":"revoked""#), "{text}");
        }
        assert_eq!(closed(&mut ws).await, Some(1008));
        assert_eq!(socket.closed().await, Some(1008));
        for route in ["sse", "stream", "iframe?callback=f", "ws"] {
            let refused = answer(server.request(Method::GET, &path(route))).await;
            assert_eq!(refused.refusal(), (401, "unauthorized"), "{route}");
        }
        let mut socket = host.try_ws(&query).await.unwrap();
        socket.text().await;
        let refused = socket.join("40/feed,").await;
        assert_eq!(refused, r#"44/feed,{"message":"unauthorized"}"#);
    }
}

/// The code of the close frame that ends a WebSocket.
async fn closed<S>(ws: &mut tokio_tungstenite::WebSocketStream<S>) -> Option<u16>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    use futures_util::StreamExt;
    use tokio_tungstenite::tungstenite::Message;
    loop {
        let message = timeout(SOON, ws.next()).await.expect("in time")?;
        if let Message::Close(frame) = message.unwrap() {
            return frame.map(|frame| frame.code.into());
        }
    }
}

#[tokio::test]
async fn a_waiting_poll_is_answered() {
    let server = ApiServer::start().await;
    let snapshot = answer(server.get("/v1/feeds/alice")).await;
    let position = snapshot.body["position"].as_str().unwrap();
    let poll = |id: &str| {
        let path = format!("/v1/feeds/alice?after={position}&wait=55");
        let request = server.request(Method::GET, &path);
        tokio::spawn(answer(request.bearer_auth(bearer(json!({ "jti": id })))))
    };
    let waiting = async |of: Value, count: usize| {
        let disconnect = || server.request(Method::POST, "/v1/disconnect").json(&of);
        let mut closed = 0;
        while closed < count {
            let answer = answer(disconnect().bearer_auth(admin())).await;
            closed += usize::try_from(answer.body["closed"].as_u64().unwrap()).unwrap();
        }
        assert_eq!(closed, count);
    };
    let polls = [poll("a"), poll("b")];
    timeout(SOON, waiting(json!({ "account": "alice" }), 2))
        .await
        .unwrap();
    for poll in polls {
        assert_eq!(timeout(SOON, poll).await.unwrap().unwrap().status, 204);
    }
    let (lost, kept) = (poll("lost"), poll("kept"));
    // Whether the poll waits already or not.
    server.revoked(&json!({ "jti": "lost" })).await;
    let refused = timeout(SOON, lost).await.unwrap().unwrap();
    assert_eq!(refused.refusal(), (401, "unauthorized"));
    server.record(&event("1", "alice")).await;
    assert_eq!(timeout(SOON, kept).await.unwrap().unwrap().status, 200);
}

#[tokio::test]
async fn revocations_are_bounded() {
    let hub = Hub::builder(Memory::new(), Jwt::hs256(SECRET).unwrap());
    let server = ApiServer::of(hub.revocations_max(2)).await;
    let brief = Timestamp::now() + SignedDuration::from_millis(600);
    let brief = json!({ "jti": "brief", "expires_at": brief.to_string() });
    server.revoked(&brief).await;
    server.revoked(&json!({ "jti": "a" })).await;
    let refused = server.revoke(&json!({ "jti": "b" })).await;
    assert_eq!(refused.refusal(), (507, "too_many_revocations"));
    assert_eq!(server.status_of(&bearer(json!({ "jti": "b" }))).await, 200);
    // One that is there already may change, and one that has expired leaves room.
    server
        .revoked(&json!({ "jti": "a", "expires_at": ahead(9) }))
        .await;
    let made_room = async {
        while server.revoke(&json!({ "jti": "b" })).await.status != 201 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, made_room).await.expect("room");
}

#[tokio::test]
async fn a_ledger_that_stores_no_revocations_refuses_them() {
    let server = ApiServer::on(HookLedger::new(Arc::new(|| Ok(())))).await;
    let refused = server.revoke(&json!({ "jti": "lost" })).await;
    assert_eq!(refused.refusal(), (501, "not_supported"));
    assert_eq!(refused.header("retry-after"), None);
    let lost = bearer(json!({ "jti": "lost" }));
    assert_eq!(server.status_of(&lost).await, 200);
    let error = server
        .hub
        .revoke(Revocation::of_token("lost").unwrap())
        .await;
    assert_eq!(error.unwrap_err().code(), "not_supported");
}
