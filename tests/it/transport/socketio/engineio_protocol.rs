//! The cases of the published Engine.IO protocol, version 4, over an echo server on a hub.
//!
//! The engine transports Socket.IO here: what the document's server echoes unchanged, ours
//! echoes as an event.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::time::Instant;

use super::echo_server;
use crate::support::{
    SOON,
    engineio_client::{Polling, SEPARATOR, Ws},
    host::Host,
};

/// The heartbeats of the document's server.
const PING_INTERVAL: Duration = Duration::from_millis(300);
const PING_TIMEOUT: Duration = Duration::from_millis(200);

/// A polling session that has joined `/`, with nothing left to receive.
async fn joined(host: &Host) -> Polling<'_> {
    let session = host.poll().await;
    session.send("40").await;
    let mut received = String::new();
    while !received.contains("auth") {
        received += &session.receive().await;
    }
    session
}

async fn joined_ws(host: &Host) -> Ws {
    let mut ws = host.ws().await;
    assert!(ws.join("40").await.starts_with("40{"));
    assert_eq!(ws.packet().await, r#"42["auth",{}]"#);
    ws
}

#[tokio::test]
async fn polling_opens_a_session() {
    let host = echo_server().await;
    let open = host.poll().await.open;
    assert_eq!(open["sid"].as_str().unwrap().len(), 16);
    assert_eq!(open["upgrades"], serde_json::json!(["websocket"]));
    assert_eq!(open["pingInterval"], 300);
    assert_eq!(open["pingTimeout"], 200);
    assert_eq!(open["maxPayload"], 100_000);
}

#[tokio::test]
async fn websocket_opens_a_session() {
    let host = echo_server().await;
    let mut ws = host.try_ws("EIO=4&transport=websocket").await.unwrap();
    let open = ws.text().await;
    let open: Value = serde_json::from_str(open.strip_prefix('0').unwrap()).unwrap();
    assert_eq!(open["upgrades"], serde_json::json!([]));
    assert_eq!(open["maxPayload"], 100_000);
    assert_eq!(open["pingInterval"], 300);
}

#[tokio::test]
async fn a_wrong_opening_is_refused_and_opens_nothing() {
    let host = echo_server().await;
    let wrong = [
        ("transport=polling", 5),
        ("EIO=abc&transport=polling", 5),
        ("EIO=3&transport=polling", 5),
        ("EIO=4", 0),
        ("EIO=4&transport=abc", 0),
        ("EIO=4&transport=websocket", 3),
        ("EIO=4&transport=polling&sid=nobody", 1),
        ("EIO=4&transport=polling&sid=AAAAAAAAAAAAAAHs", 1),
        ("EIO=4&transport=websocket&sid=AAAAAAAAAAAAAAHs", 1),
        ("EIO=4&EIO=4&transport=polling", 3),
    ];
    for (query, code) in wrong {
        let response = host.get(query).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{query}");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["code"], code, "{query}");
    }
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let response = host
            .request(method, "EIO=4&transport=polling")
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(response.json::<Value>().await.unwrap()["code"], 2);
    }
    for query in [
        "transport=websocket",
        "EIO=abc&transport=websocket",
        "EIO=4&transport=abc",
    ] {
        assert!(host.try_ws(query).await.is_err(), "{query}");
    }
    assert_eq!(host.hub.sessions(), 0);
}

#[tokio::test]
async fn an_old_client_is_told_so() {
    let host = echo_server().await;
    let response = host.get("EIO=3&transport=polling").await;
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["message"], "Unsupported protocol version");
    assert!(body["hint"].as_str().unwrap().contains("EIO=4"));
}

#[tokio::test]
async fn polling_carries_one_packet_and_several() {
    let host = echo_server().await;
    let session = joined(&host).await;
    session.send(r#"42["message","hello"]"#).await;
    assert_eq!(session.receive().await, r#"42["message-back","hello"]"#);

    let three = [1, 2, 3]
        .map(|n| format!(r#"42["message",{n}]"#))
        .join(SEPARATOR);
    session.send(&three).await;
    let mut received = Vec::new();
    while received.len() < 3 {
        let body = session.receive().await;
        received.extend(
            body.split(SEPARATOR)
                .filter(|p| *p != "2")
                .map(str::to_owned),
        );
    }
    received.sort_unstable();
    assert_eq!(
        received,
        [1, 2, 3].map(|n| format!(r#"42["message-back",{n}]"#))
    );
}

#[tokio::test]
async fn polling_carries_binary_as_base64() {
    let host = echo_server().await;
    let session = joined(&host).await;
    let header = r#"451-["message",{"_placeholder":true,"num":0}]"#;
    session.send(&[header, "bAQIDBA=="].join(SEPARATOR)).await;
    let back = r#"451-["message-back",{"_placeholder":true,"num":0}]"#;
    assert_eq!(session.receive().await, [back, "bAQIDBA=="].join(SEPARATOR));
}

#[tokio::test]
async fn polling_closes_upon_an_unknown_packet() {
    let host = echo_server().await;
    let session = host.poll().await;
    assert_eq!(session.post("abc").await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(session.get().await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn polling_closes_upon_two_polls_at_once() {
    let host = echo_server().await;
    let session = host.poll().await;
    let polls = futures_util::future::join(session.get(), session.get()).await;
    let mut statuses = [polls.0.status().as_u16(), polls.1.status().as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
    assert_eq!(session.get().await.status(), StatusCode::BAD_REQUEST);
    // The process still serves.
    joined(&host).await;
}

#[tokio::test]
async fn websocket_carries_text_and_binary() {
    let host = echo_server().await;
    let mut ws = joined_ws(&host).await;
    ws.send(r#"42["message","hello"]"#).await;
    assert_eq!(ws.packet().await, r#"42["message-back","hello"]"#);
    ws.send(r#"451-["message",{"_placeholder":true,"num":0}]"#)
        .await;
    ws.send_binary(&[1, 2, 3, 4]).await;
    assert_eq!(
        ws.packet().await,
        r#"451-["message-back",{"_placeholder":true,"num":0}]"#
    );
    assert_eq!(ws.binary().await, [1, 2, 3, 4]);
}

#[tokio::test]
async fn websocket_closes_upon_an_unknown_packet() {
    let host = echo_server().await;
    let mut ws = host.ws().await;
    ws.send("abc").await;
    assert_eq!(ws.closed().await, Some(1007));
    host.until_empty().await;
}

/// The engine's own first ping comes at once; ours comes after the interval, as the document requires.
#[tokio::test]
async fn websocket_heartbeats_come_at_the_interval() {
    let host = echo_server().await;
    let mut ws = host.ws().await;
    let opened = Instant::now();
    for beat in 1..=3 {
        assert_eq!(ws.text().await, "2");
        let early = PING_INTERVAL * beat - Duration::from_millis(50);
        assert!(
            opened.elapsed() >= early,
            "beat {beat} after {:?}",
            opened.elapsed()
        );
        ws.send("3").await;
    }
}

#[tokio::test]
async fn polling_heartbeats_come_at_the_interval() {
    let host = echo_server().await;
    let session = host.poll().await;
    let opened = Instant::now();
    for beat in 1..=3 {
        assert_eq!(session.receive().await, "2");
        let early = PING_INTERVAL * beat - Duration::from_millis(50);
        assert!(
            opened.elapsed() >= early,
            "beat {beat} after {:?}",
            opened.elapsed()
        );
        session.send("3").await;
    }
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_closed() {
    let host = echo_server().await;
    let session = host.poll().await;
    let mut ws = host.ws().await;
    let opened = Instant::now();
    ws.closed().await;
    assert!(opened.elapsed() >= PING_INTERVAL + PING_TIMEOUT - Duration::from_millis(50));
    host.until_empty().await;
    assert_eq!(session.get().await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn polling_closes_when_the_client_asks() {
    let host = echo_server().await;
    let session = host.poll().await;
    let (waiting, posted) = futures_util::future::join(session.get(), async {
        // The poll is sent first; whichever arrives first, both must succeed.
        tokio::task::yield_now().await;
        session.post("1").await
    })
    .await;
    assert_eq!(posted.status(), StatusCode::OK);
    assert!([200, 400].contains(&waiting.status().as_u16()));
    assert_eq!(session.get().await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn websocket_closes_when_the_client_asks() {
    let host = echo_server().await;
    let mut ws = joined_ws(&host).await;
    ws.send("1").await;
    ws.closed().await;
    host.until_empty().await;
}

#[tokio::test]
async fn a_polling_session_moves_to_a_websocket() {
    let host = echo_server().await;
    let session = joined(&host).await;
    let mut ws = session.upgrade().await.unwrap();
    ws.send("2probe").await;
    assert_eq!(ws.text().await, "3probe");
    ws.send("5").await;
    ws.send(r#"42["message","moved"]"#).await;
    assert_eq!(ws.packet().await, r#"42["message-back","moved"]"#);

    // Polls and WebSockets of the same session are refused from now on, without harm to it.
    assert_eq!(session.get().await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(session.post("3").await.status(), StatusCode::BAD_REQUEST);
    assert!(session.upgrade().await.is_err());
    ws.send(r#"42["message","still"]"#).await;
    assert_eq!(ws.packet().await, r#"42["message-back","still"]"#);
}

#[tokio::test]
async fn a_waiting_poll_gives_way_to_the_upgrade() {
    let host = echo_server().await;
    let session = joined(&host).await;
    let mut ws = session.upgrade().await.unwrap();
    let waiting = async {
        let mut body = session.receive().await;
        while body == "2" {
            body = session.receive().await;
        }
        body
    };
    let probe = async {
        ws.send("2probe").await;
        assert_eq!(ws.text().await, "3probe");
    };
    let (body, ()) = futures_util::future::join(waiting, probe).await;
    assert_eq!(body, "6");
    ws.send("5").await;
    ws.send(r#"42["message","moved"]"#).await;
    assert_eq!(ws.packet().await, r#"42["message-back","moved"]"#);
}

/// The stock engine would answer such a session with NOOPs for ever, or close it.
#[tokio::test]
async fn an_upgrade_that_is_given_up_leaves_the_session_on_polling() {
    let host = echo_server().await;
    for frames in [&[][..], &["2probe"], &["garbage"], &["2probe", "4garbage"]] {
        let session = joined(&host).await;
        let mut ws = session.upgrade().await.unwrap();
        for frame in frames {
            ws.send(*frame).await;
        }
        drop(ws);
        session.send(r#"42["message","here"]"#).await;
        let mut body = String::new();
        while !body.contains("here") {
            body = session.receive().await;
        }
        // It may try again once the server has noticed that the other is closed.
        let again = async {
            loop {
                if let Ok(ws) = session.upgrade().await {
                    break ws;
                }
            }
        };
        let mut ws = tokio::time::timeout(SOON, again).await.unwrap();
        ws.send("2probe").await;
        ws.send("5").await;
        assert_eq!(ws.text().await, "3probe");
        ws.send(r#"42["message","moved"]"#).await;
        assert_eq!(ws.packet().await, r#"42["message-back","moved"]"#);
    }
}

#[tokio::test]
async fn a_second_upgrade_at_once_is_refused() {
    let host = echo_server().await;
    let session = joined(&host).await;
    let mut first = session.upgrade().await.unwrap();
    assert!(session.upgrade().await.is_err());
    first.send("2probe").await;
    assert_eq!(first.text().await, "3probe");
    first.send("5").await;
    first.send(r#"42["message","first"]"#).await;
    assert_eq!(first.packet().await, r#"42["message-back","first"]"#);
}
