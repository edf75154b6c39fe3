//! Tickets: credentials in a URL, for connections where a browser sends no header.

use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    api_server::{Answer, ApiServer, answer},
    host::Host,
    tokens::{bearer, watcher},
};

async fn mint(server: &ApiServer, token: &str, body: Option<&Value>) -> Answer {
    let request = server
        .request(Method::POST, "/v1/tickets")
        .bearer_auth(token);
    answer(match body {
        Some(body) => request.json(body),
        None => request,
    })
    .await
}

/// The status of a request whose only credential is this ticket.
async fn opens(server: &ApiServer, path: &str, ticket: &str) -> u16 {
    let sign = if path.contains('?') { '&' } else { '?' };
    let path = format!("{path}{sign}ticket={ticket}");
    // The head of a streamed response is enough.
    let response = server.request(Method::GET, &path).send().await.unwrap();
    response.status().as_u16()
}

#[tokio::test]
async fn a_ticket_opens_its_accounts_connections_and_nothing_else() {
    let server = ApiServer::start().await;
    let minted = mint(&server, &watcher(), Some(&json!({ "account": "alice" }))).await;
    assert_eq!(minted.status, 201);
    assert_eq!(minted.header("cache-control"), Some("no-store"));
    assert_eq!(minted.body["account"], "alice");
    let end: Timestamp = minted.body["expires_at"].as_str().unwrap().parse().unwrap();
    let minutes = end.duration_since(Timestamp::now()).as_mins();
    assert!((3..=5).contains(&minutes), "{minutes} minutes");
    let ticket = minted.body["ticket"].as_str().unwrap();

    for path in ["sse", "stream", "iframe?callback=f"] {
        assert_eq!(
            opens(&server, &format!("/v1/feeds/alice/{path}"), ticket).await,
            200
        );
        assert_eq!(
            opens(&server, &format!("/v1/feeds/bob/{path}"), ticket).await,
            404
        );
    }
    // It is not accepted as a token, and cannot mint tickets.
    for (method, path) in [
        (Method::GET, "/v1/feeds/alice"),
        (Method::GET, "/v1/accounts/alice"),
        (Method::GET, "/v1/feeds/alice/sse"),
        (Method::POST, "/v1/tickets"),
        (Method::POST, "/v1/events"),
    ] {
        let request = server.request(method, path).bearer_auth(ticket);
        assert_eq!(
            answer(request).await.refusal(),
            (401, "unauthorized"),
            "{path}"
        );
    }
    assert_eq!(opens(&server, "/v1/feeds/alice", ticket).await, 401);
    for forged in ["x", "ticket.x", &ticket[..ticket.len() - 2], &watcher()] {
        assert_eq!(opens(&server, "/v1/feeds/alice/sse", forged).await, 401);
    }
    // Tickets of another server are refused.
    assert_eq!(
        opens(&ApiServer::start().await, "/v1/feeds/alice/sse", ticket).await,
        401
    );
}

#[tokio::test]
async fn a_ticket_is_for_what_its_token_may_watch() {
    let server = ApiServer::start().await;
    let own = bearer(json!({}));
    assert_eq!(mint(&server, &own, None).await.body["account"], "alice");
    let other = Some(json!({ "account": "bob" }));
    assert_eq!(
        mint(&server, &own, other.as_ref()).await.refusal(),
        (404, "not_found")
    );
    let several = bearer(json!({ "accounts": ["alice", "bob"] }));
    assert_eq!(
        mint(&server, &several, None).await.refusal(),
        (400, "account_missing")
    );
    let producer = bearer(json!({ "scope": "record" }));
    assert_eq!(
        mint(&server, &producer, None).await.refusal(),
        (404, "not_found")
    );
    for body in [
        json!({ "acount": "alice" }),
        json!([]),
        json!({ "account": 1 }),
    ] {
        assert_eq!(
            mint(&server, &own, Some(&body)).await.refusal(),
            (400, "invalid_request")
        );
    }
    let bad = Some(json!({ "account": "a/b" }));
    assert_eq!(
        mint(&server, &own, bad.as_ref()).await.refusal(),
        (400, "invalid_account")
    );
}

#[tokio::test]
async fn a_ticket_opens_socketio_and_a_websocket() {
    let server = ApiServer::start().await;
    let host = Host::start(server.hub.clone()).await;
    let minted = mint(&server, &watcher(), Some(&json!({ "account": "alice" }))).await;
    let ticket = minted.body["ticket"].as_str().unwrap();
    let query = format!("EIO=4&transport=websocket&ticket={ticket}");
    let mut ws = host.try_ws(&query).await.unwrap();
    assert!(ws.text().await.starts_with("0{"));
    assert!(ws.join("40/feed,").await.starts_with("40/feed,{"));
    assert!(ws.packet().await.starts_with(r#"42/feed,["snapshot""#));

    let url = format!("ws://{}/v1/feeds/alice/ws?ticket={ticket}", host.address);
    assert!(tokio_tungstenite::connect_async(url).await.is_ok());
}
