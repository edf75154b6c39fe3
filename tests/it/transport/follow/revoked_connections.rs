//! Connections whose token is revoked, or that are disconnected: how they close, and what a new token changes.

use std::time::Duration;

use serde_json::{Value, json};
use tallycast::{Hub, access::ConnectionsOf, domain::Revocation};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};

use crate::support::{
    SOON,
    feed_hub::{account, host, settings},
    host::Host,
    raw_http::connect_narrow,
    raw_websocket::{RawWebSocket, cut},
};

const WS: &str = "/v1/feeds/alice/ws";

/// How soon the scorecard wants a connection closed.
const REACHED: Duration = Duration::from_secs(5);

/// Alice's token with this id.
fn token(id: &str) -> String {
    format!("alice/alice,bob/3600000/{id}")
}

fn of_subject() -> ConnectionsOf {
    ConnectionsOf::Subject("alice".to_owned())
}

async fn revoke(hub: &Hub, id: &str) {
    hub.revoke(Revocation::of_token(id).unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_websocket_closes_with_the_code_for_it() {
    let host = host().await;
    for (disconnects, code, close) in [(false, "revoked", 1008), (true, "disconnected", 1012)] {
        let token = token(code);
        let mut plain = RawWebSocket::open(host.address, WS, &token).await;
        plain.until("live").await;
        let mut socket = host
            .watch(&json!({ "token": token, "account": "alice" }))
            .await;
        socket.until_live().await;
        // It follows nothing.
        let mut idle = host
            .watch(&json!({ "token": token, "subscribe": false }))
            .await;
        // Its task runs once it answers.
        let bob = json!({ "account": "bob" });
        idle.ask("unsubscribe", &bob).await;
        match disconnects {
            true => assert_eq!(host.hub.disconnect(&of_subject()).await, 3),
            false => revoke(&host.hub, code).await,
        }
        assert_eq!(plain.message().await["code"], code);
        assert_eq!(plain.closed().await.unwrap().close_code(), Some(close));
        for socket in [&mut socket, &mut idle] {
            assert_eq!(socket.expect("closing").await["code"], code);
            assert_eq!(socket.ws.closed().await, Some(close));
        }
    }
    host.until_empty().await;
    assert_eq!(host.hub.disconnect(&of_subject()).await, 0);
}

#[tokio::test]
async fn a_renewed_connection_counts_with_its_new_token() {
    let host = host().await;
    let mut plain = RawWebSocket::open(host.address, WS, &token("first")).await;
    let mut socket = host
        .watch(&json!({ "token": token("first"), "account": "alice" }))
        .await;
    socket.until_live().await;
    let authenticate = |id: &str| json!({ "type": "authenticate", "token": token(id) });
    let renewed = plain.ask(&authenticate("second").to_string()).await;
    assert_eq!(renewed["ok"], true);
    let (_, renewed) = socket
        .ask("authenticate", &json!({ "token": token("second") }))
        .await;
    assert_eq!(renewed["ok"], true);

    revoke(&host.hub, "first").await;
    host.record("alice", 1..=1).await;
    assert_eq!(plain.until("update").await["to"], 1);
    assert_eq!(socket.expect("update").await["to"], 1);
    // A revoked token renews nothing.
    let refused = plain.ask(&authenticate("first").to_string()).await;
    assert_eq!(refused["code"], "unauthorized");
    let (_, refused) = socket
        .ask("authenticate", &json!({ "token": token("first") }))
        .await;
    assert_eq!(refused["code"], "unauthorized");

    revoke(&host.hub, "second").await;
    assert_eq!(plain.until("closing").await["code"], "revoked");
    assert_eq!(socket.expect("closing").await["code"], "revoked");
}

#[tokio::test]
async fn an_account_is_disconnected_where_it_is_followed() {
    let host = host().await;
    let mut both = host
        .watch(&json!({ "token": token("a"), "account": "alice" }))
        .await;
    both.until_live().await;
    both.ask("subscribe", &json!({ "account": "bob" })).await;
    both.until_live().await;
    let mut left = host
        .watch(&json!({ "token": token("b"), "account": "bob" }))
        .await;
    left.until_live().await;
    left.ask("unsubscribe", &json!({ "account": "bob" })).await;
    let bob = ConnectionsOf::Account(account("bob"));
    assert_eq!(host.hub.disconnect(&bob).await, 1);
    assert_eq!(both.expect("closing").await["code"], "disconnected");
    assert_eq!(both.ws.closed().await, Some(1012));
    let (_, answer) = left.ask("history", &json!({ "account": "bob" })).await;
    assert_eq!(answer["ok"], true);
}

#[tokio::test]
async fn a_polling_session_is_closed() {
    let host = host().await;
    let session = host.poll().await;
    let auth = json!({ "token": token("lost"), "account": "alice" });
    session.send(&format!("40/feed,{auth}")).await;
    while !session.receive().await.contains("live") {}
    let (body, ()) = tokio::join!(session.receive(), revoke(&host.hub, "lost"));
    assert!(body.contains(r#""code":"revoked""#), "{body}");
    host.until_empty().await;
}

/// More than the buffers of a connection with a small receive buffer hold.
async fn fill(host: &Host, round: u64) {
    for id in round * 200..(round + 1) * 200 {
        host.record_described("alice", id, &"电".repeat(500)).await;
    }
}

/// A client that reads nothing gets no closing message, but is cut as soon as others are closed.
#[tokio::test]
async fn a_blocked_write_ends_with_its_grant() {
    let hub = settings().write_stall(Duration::from_secs(60)).build();
    let host = Host::start(hub.await.unwrap()).await;
    let stream = async |route: &str, token: &str| {
        let mut tcp: TcpStream = connect_narrow(host.address).await;
        let request = format!(
            "GET /v1/feeds/alice/{route} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        tcp.write_all(request.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        tcp.read_exact(&mut status).await.unwrap();
        assert_eq!(status, *b"HTTP/1.1 200");
        tcp
    };
    for (round, end) in (0..).zip(["revoked", "disconnected"]) {
        let token = token(end);
        let stalled = [
            stream("sse", &token).await,
            stream("stream", &token).await,
            RawWebSocket::open_narrow(host.address, WS, &token)
                .await
                .tcp,
        ];
        fill(&host, round).await;
        let start = Instant::now();
        match end {
            "revoked" => revoke(&host.hub, end).await,
            _ => assert_eq!(host.hub.disconnect(&of_subject()).await, 3),
        }
        for (way, tcp) in ["sse", "stream", "ws"].iter().zip(&stalled) {
            let left = REACHED.saturating_sub(start.elapsed());
            assert!(timeout(left, cut(tcp)).await.is_ok(), "{way} {end}");
        }
    }
}

/// Only what is new is closed: a revocation neither counts nor tells who was told already.
#[tokio::test]
async fn a_connection_is_closed_once() {
    let host = host().await;
    let mut plain = RawWebSocket::open(host.address, WS, &token("lost")).await;
    plain.until("live").await;
    assert_eq!(host.hub.disconnect(&of_subject()).await, 1);
    assert_eq!(host.hub.disconnect(&of_subject()).await, 0);
    revoke(&host.hub, "lost").await;
    let closing: Value = plain.message().await;
    assert_eq!(closing["code"], "disconnected");
    let close = plain.closed().await.unwrap();
    assert_eq!(close.close_code(), Some(1012));
    timeout(SOON, plain.end()).await.unwrap().unwrap();
}
