//! Hostile handshakes, positions and packet sequences: they are refused, and other clients are not affected.

use reqwest::StatusCode;
use serde_json::json;

use crate::support::{
    engineio_client::Ws,
    feed_hub::{ALICE, account, host},
    host::Host,
    random::SeededRandom,
};

/// In all of bob's data, and nowhere else.
const CANARY: &str = "canary-of-bob";

async fn bobs_position(host: &Host) -> String {
    host.record_described("bob", 1, CANARY).await;
    let snapshot = host.hub.feed().snapshot(&account("bob"), 20).await;
    snapshot.unwrap().position().to_string()
}

#[tokio::test]
async fn a_position_of_another_account_or_of_nobody_begins_anew() {
    let host = host().await;
    host.record("alice", 1..=2).await;
    let bobs = bobs_position(&host).await;
    let flipped: String = bobs.chars().rev().collect();
    let long = "A".repeat(8_000);
    for position in [&bobs, &flipped, &long, "AQ", "../../etc", "\u{202e}"] {
        let auth = json!({ "token": ALICE, "after": position });
        let mut alice = host.watch(&auth).await;
        let snapshot = alice.expect("snapshot").await;
        assert_eq!(snapshot["reason"], "bad_position", "{position:.20}");
        assert_eq!(snapshot["account"], "alice");
        assert_eq!(snapshot["offset"], 2);
        assert!(!snapshot.to_string().contains(CANARY));
    }
}

#[tokio::test]
async fn a_position_of_a_megabyte_closes_the_connection() {
    let host = host().await;
    let mut ws = host.ws().await;
    let auth = json!({ "token": ALICE, "after": "A".repeat(1 << 20) });
    // The server may close the connection during the write.
    let packet = format!("40/feed,{auth}");
    let _cut = futures_util::SinkExt::send(&mut ws.stream, packet.into()).await;
    let code = ws.closed().await;
    assert!(matches!(code, None | Some(1009)), "{code:?}");
    host.until_empty().await;
}

#[tokio::test]
async fn a_handshake_that_cannot_be_read_is_refused() {
    let host = host().await;
    let deep = format!(
        r#"{{"token":{}{}}}"#,
        "[".repeat(40_000),
        "]".repeat(40_000)
    );
    for auth in [
        &deep,
        r#"{"token":"alice/alice/3600000","token":"bob/bob/3600000"}"#,
        r#"{"token":"alice/alice/3600000","recent":1e400}"#,
        r#"{"token":"\ud800"}"#,
        r#"{"token":7}"#,
        r#"["token"]"#,
        r#""alice/alice/3600000""#,
        "null",
        "7",
    ] {
        let refusal = host.refusal(auth).await;
        let shown = &auth[..auth.len().min(60)];
        assert!(
            ["bad_request", "malformed", "unauthorized"].contains(&refusal.as_str()),
            "{shown}: {refusal}"
        );
    }
    assert_eq!(host.hub.socket_io().of("/feed").unwrap().sockets().len(), 0);
}

#[tokio::test]
async fn an_upgraded_session_takes_no_poll_and_no_second_websocket() {
    let host = host().await;
    let session = host.poll().await;
    let mut ws = session.upgrade().await.unwrap();
    ws.send("2probe").await;
    assert_eq!(ws.text().await, "3probe");
    // Another post while both are open: accepted or refused, the session continues.
    let meanwhile = session.post("3").await.status();
    assert!(
        [StatusCode::OK, StatusCode::BAD_REQUEST].contains(&meanwhile),
        "{meanwhile}"
    );
    ws.send("5").await;
    let joined = ws.join(&format!(r#"40/feed,{{"token":"{ALICE}"}}"#)).await;
    assert!(joined.starts_with("40/feed,{"), "{joined}");

    assert_eq!(session.get().await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(session.post("40").await.status(), StatusCode::BAD_REQUEST);
    assert!(session.upgrade().await.is_err());
    ws.send(r#"42/feed,1["history",{}]"#).await;
    let mut answer = ws.packet().await;
    while !answer.starts_with("43/feed,1") {
        answer = ws.packet().await;
    }
    assert!(answer.contains(r#""ok":true"#), "{answer}");
    assert_eq!(host.hub.sessions(), 1);
}

/// A packet of random pieces.
fn packet(random: &mut SeededRandom) -> String {
    const STARTS: [&str; 10] = ["0", "2", "3", "40", "41", "42", "43", "45", "5", "6"];
    const MIDDLES: [&str; 8] = [
        "",
        "/feed,",
        "/feed",
        "/,",
        "/nowhere,",
        "1-/feed,",
        "/feed,7",
        "9",
    ];
    const ENDS: [&str; 14] = [
        "",
        r#"{"token":"alice/alice/3600000"}"#,
        r#"{"token":"alice/nobody/0"}"#,
        r#"["subscribe",{}]"#,
        r#"["subscribe",{"account":"bob"}]"#,
        r#"["history",{"account":"bob","limit":-1}]"#,
        r#"["unsubscribe",{}]"#,
        r#"["authenticate",{"token":"alice/alice/3600000"}]"#,
        r#"["__proto__",{"_placeholder":true,"num":0}]"#,
        r#"["#,
        r#"{"sid":"x"}"#,
        "[[[[[[[[",
        "\u{1e}2",
        "\u{0}",
    ];
    let (start, middle, end) = (
        random.pick(&STARTS),
        random.pick(&MIDDLES),
        random.pick(&ENDS),
    );
    format!("{start}{middle}{end}")
}

#[tokio::test]
async fn any_sequence_of_packets_harms_nobody_else() {
    let host = host().await;
    let mut bob = host.watch(&json!({ "token": "bob/bob/3600000" })).await;
    bob.until_live().await;
    for seed in 0..300 {
        let random = &mut SeededRandom(seed);
        let mut ws = host.ws().await;
        for _ in 0..20 {
            // The previous packet may have closed the connection.
            let _cut = futures_util::SinkExt::send(&mut ws.stream, packet(random).into()).await;
        }
        host.record_described("bob", seed + 1, CANARY).await;
        let update = bob.expect("update").await;
        assert_eq!(update["to"], json!(seed + 1), "after seed {seed}");
        assert_eq!(
            update["entries"][0]["description"], CANARY,
            "after seed {seed}"
        );
        drop_and_look(ws, seed).await;
    }
    host.until_sessions(1).await;
}

/// Closes, and reads the rest: nothing of bob's is in it.
async fn drop_and_look(mut ws: Ws, seed: u64) {
    let _cut = futures_util::SinkExt::close(&mut ws.stream).await;
    while let Some(Ok(message)) = ws.frame().await {
        let text = message.to_text().unwrap_or_default();
        assert!(!text.contains(CANARY), "seed {seed}: {text}");
    }
}
