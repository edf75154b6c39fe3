//! The cases of the published Socket.IO protocol, version 5, over an echo server on a hub.

use serde_json::Value;

use super::echo_server;
use crate::support::{engineio_client::Ws, host::Host};

async fn joined(host: &Host) -> Ws {
    let mut ws = host.ws().await;
    assert!(ws.join("40").await.starts_with("40{"));
    assert_eq!(ws.packet().await, r#"42["auth",{}]"#);
    ws
}

fn sid(connect: &str, prefix: &str) -> String {
    let answer: Value = serde_json::from_str(connect.strip_prefix(prefix).unwrap()).unwrap();
    answer["sid"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_main_namespace_is_joined_with_and_without_auth() {
    let host = echo_server().await;
    let mut ws = host.ws().await;
    assert!(!sid(&ws.join("40").await, "40").is_empty());
    assert_eq!(ws.packet().await, r#"42["auth",{}]"#);

    let mut ws = host.ws().await;
    assert!(!sid(&ws.join(r#"40{"token":"123"}"#).await, "40").is_empty());
    assert_eq!(ws.packet().await, r#"42["auth",{"token":"123"}]"#);
}

#[tokio::test]
async fn a_custom_namespace_is_joined_with_and_without_auth() {
    let host = echo_server().await;
    let mut ws = host.ws().await;
    assert!(!sid(&ws.join("40/custom,").await, "40/custom,").is_empty());
    assert_eq!(ws.packet().await, r#"42/custom,["auth",{}]"#);

    let mut ws = host.ws().await;
    let answer = ws.join(r#"40/custom,{"token":"abc"}"#).await;
    assert!(!sid(&answer, "40/custom,").is_empty());
    assert_eq!(ws.packet().await, r#"42/custom,["auth",{"token":"abc"}]"#);
}

#[tokio::test]
async fn an_unknown_namespace_is_refused() {
    let host = echo_server().await;
    let mut ws = host.ws().await;
    let answer = ws.join("40/random").await;
    assert_eq!(answer, r#"44/random,{"message":"Invalid namespace"}"#);
}

#[tokio::test]
async fn a_client_that_joins_nothing_or_garbles_is_closed() {
    let host = echo_server().await;
    for packet in [
        "4abc",
        "42{}",
        r#"42["message"]"#,
        r#"42[{},"message"]"#,
        "48",
        "4",
    ] {
        let mut ws = host.ws().await;
        ws.send(packet).await;
        let code = ws.closed().await;
        assert!(code != Some(1000), "{packet}: {code:?}");
    }
    host.until_empty().await;
}

#[tokio::test]
async fn leaving_a_namespace_leaves_the_others() {
    let host = echo_server().await;
    let mut ws = joined(&host).await;
    assert!(ws.join("40/custom,").await.starts_with("40/custom,"));
    assert_eq!(ws.packet().await, r#"42/custom,["auth",{}]"#);
    ws.send("41/custom").await;
    ws.send(r#"42["message","here"]"#).await;
    assert_eq!(ws.packet().await, r#"42["message-back","here"]"#);
}

#[tokio::test]
async fn leaving_and_joining_again_gives_a_fresh_socket() {
    let host = echo_server().await;
    let mut ws = joined(&host).await;
    ws.send("41").await;
    assert!(ws.join("40").await.starts_with("40{"));
    assert_eq!(ws.packet().await, r#"42["auth",{}]"#);
}

#[tokio::test]
async fn every_kind_of_argument_comes_back() {
    let host = echo_server().await;
    let mut ws = joined(&host).await;
    ws.send(r#"42["message",1,"2",{"3":[true]},null]"#).await;
    assert_eq!(
        ws.packet().await,
        r#"42["message-back",1,"2",{"3":[true]},null]"#
    );
}

#[tokio::test]
async fn an_ack_carries_its_number_and_arguments() {
    let host = echo_server().await;
    let mut ws = joined(&host).await;
    ws.send(r#"42456["message-with-ack",1,"2",{"3":[false]}]"#)
        .await;
    assert_eq!(ws.packet().await, r#"43456[1,"2",{"3":[false]}]"#);
}

#[tokio::test]
async fn binary_arguments_come_back_in_events_and_acks() {
    let host = echo_server().await;
    let mut ws = joined(&host).await;
    let places = r#"{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}"#;
    ws.send(format!(r#"452-["message",{places}]"#)).await;
    ws.send_binary(&[1, 2, 3]).await;
    ws.send_binary(&[4, 5, 6]).await;
    assert_eq!(
        ws.packet().await,
        format!(r#"452-["message-back",{places}]"#)
    );
    assert_eq!(ws.binary().await, [1, 2, 3]);
    assert_eq!(ws.binary().await, [4, 5, 6]);

    ws.send(format!(r#"452-789["message-with-ack",{places}]"#))
        .await;
    ws.send_binary(&[1, 2, 3]).await;
    ws.send_binary(&[4, 5, 6]).await;
    assert_eq!(ws.packet().await, format!("462-789[{places}]"));
    assert_eq!(ws.binary().await, [1, 2, 3]);
    assert_eq!(ws.binary().await, [4, 5, 6]);
}
