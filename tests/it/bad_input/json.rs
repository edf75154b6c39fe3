use serde_json::{Value, json};

use crate::support::{
    feed_hub::{ALICE, host},
    raw_websocket::{RawWebSocket, text},
};

/// Values that a JSON reader may take too far: too deep, too large, or no JSON at all.
fn values() -> Vec<String> {
    let nested = |open: &str, close: &str, depth| open.repeat(depth) + "0" + &close.repeat(depth);
    vec![
        nested("[", "]", 3_000),
        nested("{\"a\":", "}", 1_000),
        "[".repeat(3_000),
        "1e400".to_owned(),
        "-1e400".to_owned(),
        "1".repeat(400),
        r#""\ud800""#.to_owned(),
        r#""\udc00\ud800""#.to_owned(),
        "NaN".to_owned(),
        "+1".to_owned(),
        "01".to_owned(),
        "'a'".to_owned(),
        "{\"__proto__\":{}}".to_owned(),
    ]
}

#[tokio::test]
async fn every_request_of_the_feed_refuses_json_that_goes_too_far() {
    let host = host().await;
    let auth = json!({ "token": ALICE, "subscribe": false });
    let mut alice = host.watch(&auth).await;
    for (name, field) in [
        ("subscribe", "account"),
        ("unsubscribe", "account"),
        ("history", "limit"),
        ("authenticate", "token"),
    ] {
        for value in values() {
            for argument in [
                format!(r#"{{"{field}":{value}}}"#),
                format!(r#"{{"{field}":"alice","{field}":{value}}}"#),
                value.clone(),
            ] {
                alice
                    .ws
                    .send(format!(r#"42/feed,7["{name}",{argument}]"#))
                    .await;
                let answer = alice.ws.packet().await;
                let shown = format!("{name} {argument:.60}: {answer}");
                // The close packet, for what is no JSON to its end.
                if answer == "1" {
                    assert_eq!(alice.ws.closed().await, Some(1008), "{shown}");
                    alice = host.watch(&auth).await;
                    continue;
                }
                let refused = answer.strip_prefix("43/feed,7[").unwrap();
                let refused: Value = serde_json::from_str(refused.trim_end_matches(']')).unwrap();
                assert_eq!(refused["ok"], false, "{shown}");
                let code = refused["code"].as_str().unwrap();
                let known = ["bad_request", "malformed", "not_found", "unauthorized"];
                assert!(known.contains(&code), "{shown}");
            }
        }
    }
    assert_eq!(alice.ask("history", &json!({})).await.1["ok"], true);
}

#[tokio::test]
async fn a_websocket_refuses_json_that_goes_too_far() {
    let host = host().await;
    let mut socket = RawWebSocket::live(host.address).await;
    for (kind, field) in [
        ("history", "limit"),
        ("authenticate", "token"),
        ("ping", "id"),
    ] {
        for value in values() {
            for request in [
                format!(r#"{{"type":"{kind}","{field}":{value}}}"#),
                format!(r#"{{"type":"{kind}","{field}":"a","{field}":{value}}}"#),
                value.clone(),
            ] {
                // The id of a ping may be any JSON, and comes back.
                if kind == "ping" && request.matches("id").count() == 1 {
                    continue;
                }
                socket.send(text(&request)).await;
                let answer = socket.message().await;
                assert_eq!(answer["ok"], false, "{request:.60}: {answer}");
            }
        }
    }
    assert_eq!(socket.ask(r#"{"type":"ping"}"#).await["ok"], true);
}
