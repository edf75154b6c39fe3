//! Tokens that end while a connection is open: it ends soon after, on every transport.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::support::{
    attacked_server::AttackedServer,
    feed_hub::account,
    follow_client::{FollowOptions, Transport, follow},
    tokens::{bearer, seconds},
};

/// How soon after its token's end a connection is closed, which the documents promise.
const CLOSED_WITHIN: Duration = Duration::from_secs(5);

/// Follows alice until the connection ends; returns how long after `end` that was, and the last message.
async fn followed_to_its_end(
    server: &AttackedServer,
    transport: Transport,
    token: String,
    end: Instant,
) -> (Duration, Value) {
    let options = FollowOptions {
        address: server.host().address,
        account: "alice".to_owned(),
        token,
        after: None,
        mode: None,
    };
    let mut client = follow(transport, &options)
        .await
        .unwrap_or_else(|code| panic!("{transport:?}: {code}"));
    let mut last = Value::Null;
    let ended = async {
        while let Some(message) = client.next().await {
            last = serde_json::from_str(&message).unwrap();
        }
    };
    let most = end.saturating_duration_since(Instant::now()) + CLOSED_WITHIN;
    timeout(most, ended)
        .await
        .unwrap_or_else(|_| panic!("{transport:?} is still open"));
    (end.saturating_duration_since(Instant::now()), last)
}

#[tokio::test]
async fn a_token_that_expires_closes_every_transport_soon() {
    let server = AttackedServer::open().await;
    // The wall clock may be anywhere in its second, so this is at most a second late.
    let end = Instant::now() + Duration::from_secs(3);
    let token = bearer(json!({ "exp": seconds(3) }));
    let open = Transport::ALL
        .into_iter()
        .filter(|transport| transport.stays_open());
    let ended = open.map(|transport| {
        let followed = followed_to_its_end(&server, transport, token.clone(), end);
        async move { (transport, followed.await) }
    });
    for (transport, (early, last)) in join_all(ended).await {
        assert!(
            early <= Duration::from_secs(1),
            "{transport:?} ended {early:?} before its token"
        );
        assert_eq!(last["type"], "closing", "{transport:?}");
        assert_eq!(last["code"], "expired", "{transport:?}");
    }
    // Nor does it open another, or get an answer.
    let late = server.call("GET", "/v1/feeds/alice", &token, "").await;
    assert_eq!(late.refusal(), (Some(401), json!("unauthorized")));
    server.assert_unharmed().await;
}

/// A long poll has no last message: it is refused like any other request with that token.
#[tokio::test]
async fn a_long_poll_is_refused_when_its_token_expires() {
    let server = AttackedServer::open().await;
    let feed = server.host().hub.feed();
    let snapshot = feed.snapshot(&account("alice"), 0).await.unwrap();
    let path = format!("/v1/feeds/alice?after={}&wait=50", snapshot.position());
    let token = bearer(json!({ "exp": seconds(2) }));
    let asked = server.call("GET", &path, &token, "");
    let refused = timeout(Duration::from_secs(2) + CLOSED_WITHIN, asked)
        .await
        .expect("in time");
    assert_eq!(refused.refusal(), (Some(401), json!("unauthorized")));
    server.assert_unharmed().await;
}

/// A connection lasts no longer than the token of the ticket that opened it.
#[tokio::test]
async fn what_a_ticket_opened_ends_with_its_token() {
    let server = AttackedServer::open().await;
    let token = bearer(json!({ "exp": seconds(3) }));
    let ticket = server.ticket(&token).await;
    let most = Duration::from_secs(3) + CLOSED_WITHIN;
    let streams = ["sse", "stream", "iframe"].map(|route| {
        let callback = ["", "&callback=f"][usize::from(route == "iframe")];
        let request = format!(
            "GET /v1/feeds/alice/{route}?ticket={ticket}{callback} HTTP/1.1\r\nHost: x\r\n\
             Connection: close\r\n\r\n"
        );
        let server = &server;
        async move {
            let mut attacker = server.connect().await;
            attacker.send(request).await;
            timeout(most, attacker.rest()).await.expect("in time")
        }
    });
    for text in join_all(streams).await {
        assert!(text.contains(r#""code":"expired""#), "{text}");
    }
    server.assert_unharmed().await;
}
