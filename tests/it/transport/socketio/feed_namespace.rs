//! The namespace `/feed`: which clients it accepts, what it pushes, and its requests.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    feed_client::{FeedClient, read_event},
    feed_hub::{ALICE, account, host},
};

#[tokio::test]
async fn a_token_for_one_account_subscribes_at_connect() {
    let host = host().await;
    host.record("alice", 1..=3).await;
    let mut alice = host.watch(&json!({ "token": ALICE })).await;
    let snapshot = alice.expect("snapshot").await;
    assert_eq!(snapshot["account"], "alice");
    assert_eq!(snapshot["reason"], "initial");
    assert_eq!(snapshot["offset"], 3);
    assert_eq!(snapshot["recent"].as_array().unwrap().len(), 3);
    assert_eq!(alice.expect("live").await["offset"], 3);

    host.record("alice", 4..=4).await;
    let update = alice.expect("update").await;
    assert_eq!((&update["from"], &update["to"]), (&json!(4), &json!(4)));
    assert_eq!(update["totals"][0]["all"]["amount"], "6.00");
}

#[tokio::test]
async fn a_push_is_the_feed_s_own_bytes() {
    let host = host().await;
    host.record("alice", 1..=1).await;
    let mut ws = host.ws().await;
    ws.join(&format!(r#"40/feed,{{"token":"{ALICE}"}}"#)).await;
    let snapshot = host
        .hub
        .feed()
        .snapshot(&account("alice"), 20)
        .await
        .unwrap();
    assert_eq!(
        ws.packet().await,
        format!(r#"42/feed,["snapshot",{}]"#, snapshot.json())
    );
}

#[tokio::test]
async fn a_client_that_may_not_watch_is_refused_with_a_code() {
    let host = host().await;
    assert_eq!(host.refusal("").await, "unauthorized");
    assert_eq!(host.refusal("{}").await, "unauthorized");
    assert_eq!(host.refusal(r#"{"token":"garbage"}"#).await, "unauthorized");
    assert_eq!(host.refusal(r#"{"token":null}"#).await, "unauthorized");
    let long = json!({ "token": "x".repeat(9000) }).to_string();
    assert_eq!(host.refusal(&long).await, "unauthorized");
    let bobs = json!({ "token": ALICE, "account": "bob" }).to_string();
    assert_eq!(host.refusal(&bobs).await, "not_found");
    let nobodys = json!({ "token": ALICE, "account": "a/b" }).to_string();
    assert_eq!(host.refusal(&nobodys).await, "not_found");
    assert_eq!(host.refusal(r#"{"token":1}"#).await, "bad_request");
    assert_eq!(host.refusal("[1]").await, "bad_request");
}

#[tokio::test]
async fn the_token_may_come_as_a_ticket_or_a_header() {
    let host = host().await;
    let query = format!(
        "EIO=4&transport=websocket&ticket={}",
        ALICE.replace('/', "%2F")
    );
    let mut ws = host.try_ws(&query).await.unwrap();
    ws.text().await;
    assert!(ws.join("40/feed,").await.starts_with("40/feed,"));

    let open = host
        .request(reqwest::Method::GET, "EIO=4&transport=polling")
        .bearer_auth(ALICE)
        .send();
    let open = open.await.unwrap().text().await.unwrap();
    let open: Value = serde_json::from_str(open.strip_prefix('0').unwrap()).unwrap();
    let query = format!(
        "EIO=4&transport=polling&sid={}",
        open["sid"].as_str().unwrap()
    );
    host.post(&query, "40/feed,").await;
    let answer = host.get(&query).await.text().await.unwrap();
    assert!(answer.starts_with("40/feed,{"), "{answer}");
}

#[tokio::test]
async fn a_client_resumes_where_it_was() {
    let host = host().await;
    host.record("alice", 1..=2).await;
    let mut alice = host.watch(&json!({ "token": ALICE })).await;
    let position = alice.until_live().await["position"].clone();
    drop(alice);
    host.record("alice", 3..=5).await;

    let mut alice = host
        .watch(&json!({ "token": ALICE, "after": position }))
        .await;
    let update = alice.expect("update").await;
    assert_eq!((&update["from"], &update["to"]), (&json!(3), &json!(5)));
    let live = alice.expect("live").await;

    let mut at_head = host
        .watch(&json!({ "token": ALICE, "after": live["position"] }))
        .await;
    at_head.expect("live").await;
    let mut lost = host
        .watch(&json!({ "token": ALICE, "after": "garbage" }))
        .await;
    assert_eq!(lost.expect("snapshot").await["reason"], "bad_position");
}

#[tokio::test]
async fn every_auth_field_may_be_a_string() {
    let host = host().await;
    host.record("alice", 1..=9).await;
    let auth = json!({ "token": ALICE, "account": "alice", "recent": "2", "mode": "totals" });
    let snapshot = host.watch(&auth).await.expect("snapshot").await;
    assert_eq!(snapshot["recent"].as_array().unwrap().len(), 2);

    let mut quiet = host
        .watch(&json!({ "token": ALICE, "subscribe": "false" }))
        .await;
    let (before, answer) = quiet.ask("subscribe", &json!({})).await;
    assert_eq!(before, Vec::<Value>::new());
    assert_eq!(answer, json!({ "ok": true, "account": "alice" }));
    quiet.expect("snapshot").await;
}

#[tokio::test]
async fn the_ack_comes_before_the_subscription_and_ends_the_older_one() {
    let host = host().await;
    host.record("alice", 1..=5).await;
    let start = host
        .hub
        .feed()
        .snapshot(&account("alice"), 0)
        .await
        .unwrap();
    let mut alice = host.watch(&json!({ "token": ALICE })).await;
    alice.until_live().await;
    let recording = async { host.record("alice", 6..=200).await };
    let switching = async {
        for _ in 0..20 {
            let after = json!({ "after": start.position().to_string() });
            let (_, answer) = alice.ask("subscribe", &after).await;
            assert_eq!(answer["ok"], true);
            // Messages before the ack are of the older subscription; from here on it is the new one's replay.
            let (name, payload) = alice.event().await;
            match name.as_str() {
                "update" => assert_eq!(payload["from"], 6),
                "live" => assert_eq!(payload["offset"], 5),
                other => panic!("{other}"),
            }
        }
    };
    futures_util::future::join(recording, switching).await;
}

#[tokio::test]
async fn nothing_comes_after_the_ack_of_unsubscribe() {
    let host = host().await;
    let mut alice = host.watch(&json!({ "token": ALICE })).await;
    let recording = async { host.record("alice", 1..=100).await };
    let leaving = async {
        alice.expect("snapshot").await;
        let (_, answer) = alice
            .ask("unsubscribe", &json!({ "account": "alice" }))
            .await;
        assert_eq!(answer["ok"], true);
    };
    futures_util::future::join(recording, leaving).await;
    host.record("alice", 101..=110).await;
    let (between, answer) = alice.ask("history", &json!({ "limit": 1 })).await;
    assert_eq!(between, Vec::<Value>::new());
    assert_eq!(answer["entries"][0]["offset"], 110);
}

#[tokio::test]
async fn one_socket_follows_several_accounts_but_only_its_own() {
    let host = host().await;
    let token = "team/a,b/60000";
    let mut team = host.watch(&json!({ "token": token })).await;
    let (_, unnamed) = team.ask("subscribe", &json!({})).await;
    assert_eq!(unnamed["code"], "account_missing");
    for name in ["a", "b"] {
        let (_, answer) = team.ask("subscribe", &json!({ "account": name })).await;
        assert_eq!(answer["ok"], true);
        assert_eq!(team.until_live().await["account"], name);
    }
    for event in ["subscribe", "history", "unsubscribe"] {
        let (_, answer) = team.ask(event, &json!({ "account": "c" })).await;
        assert_eq!(
            (&answer["ok"], &answer["code"]),
            (&json!(false), &json!("not_found"))
        );
    }
    host.record("b", 1..=1).await;
    assert_eq!(team.expect("update").await["account"], "b");
}

#[tokio::test]
async fn subscriptions_of_a_socket_are_bounded() {
    let host = host().await;
    let mut all = host.watch(&json!({ "token": "all/*/60000" })).await;
    for n in 0..16 {
        let (_, answer) = all
            .ask("subscribe", &json!({ "account": format!("a{n}") }))
            .await;
        assert_eq!(answer["ok"], true);
    }
    let (_, answer) = all.ask("subscribe", &json!({ "account": "a16" })).await;
    assert_eq!(answer["code"], "too_many_subscriptions");
    let (_, answer) = all.ask("subscribe", &json!({ "account": "a0" })).await;
    assert_eq!(answer["ok"], true, "an existing one may be started again");
}

#[tokio::test]
async fn history_is_paged_newest_first() {
    let host = host().await;
    host.record("alice", 1..=5).await;
    let mut alice = host
        .watch(&json!({ "token": ALICE, "subscribe": false }))
        .await;
    let (_, page) = alice.ask("history", &json!({ "limit": 2 })).await;
    let offsets = |page: &Value| -> Vec<u64> {
        let entries = page["entries"].as_array().unwrap().iter();
        entries
            .map(|entry| entry["offset"].as_u64().unwrap())
            .collect()
    };
    assert_eq!(offsets(&page), [5, 4]);
    let (_, page) = alice
        .ask("history", &json!({ "before": page["next"] }))
        .await;
    assert_eq!(offsets(&page), [3, 2, 1]);
    assert_eq!(page["next"], Value::Null);
    assert!(page["epoch"].is_string());
}

#[tokio::test]
async fn what_is_no_request_gets_an_error_ack() {
    let host = host().await;
    let mut alice = host
        .watch(&json!({ "token": ALICE, "subscribe": false }))
        .await;
    for name in [
        "__proto__",
        "constructor",
        "error",
        "connect",
        "disconnect",
        "snapshot",
        "",
    ] {
        let (_, answer) = alice.ask(name, &json!({})).await;
        assert_eq!(
            (&answer["ok"], &answer["code"]),
            (&json!(false), &json!("unknown_event"))
        );
    }
    for argument in [
        json!("x"),
        json!([]),
        json!({ "recent": 101 }),
        json!({ "mode": "x" }),
    ] {
        let (_, answer) = alice.ask("subscribe", &argument).await;
        assert_eq!(answer["code"], "bad_request", "{argument}");
    }
    for deep in [
        format!(
            r#"42/feed,7["subscribe",{}{}]"#,
            "[".repeat(7000),
            "]".repeat(7000)
        ),
        format!(
            r#"42/feed,7["subscribe",{{"account":{}{}}}]"#,
            "[".repeat(7000),
            "]".repeat(7000)
        ),
    ] {
        alice.ws.send(deep).await;
        let answer = alice.ws.packet().await;
        assert!(answer.starts_with(r#"43/feed,7[{"ok":false"#), "{answer}");
    }
    let long = json!({ "account": "x".repeat(20_000) });
    assert_eq!(alice.ask("subscribe", &long).await.1["code"], "too_large");
    // An event without an ack is processed, but not answered.
    alice.ws.send(r#"42/feed,["nonsense"]"#).await;
    assert_eq!(alice.ask("history", &json!({})).await.1["ok"], true);
}

#[tokio::test]
async fn a_push_reaches_the_devices_of_an_account_and_of_a_subject() {
    let host = host().await;
    let mut alice = host.watch(&json!({ "token": ALICE })).await;
    alice.until_live().await;
    let mut bob = host.watch(&json!({ "token": "bob/bob/60000" })).await;
    bob.until_live().await;
    let feed = |room: &'static str| host.hub.socket_io().of("/feed").unwrap().to(room);
    let note = json!({ "type": "note" });
    feed("account:alice").emit("note", &note).await.unwrap();
    alice.expect("note").await;
    feed("subject:bob").emit("note", &note).await.unwrap();
    bob.expect("note").await;
    alice.ask("unsubscribe", &json!({})).await;
    feed("account:alice").emit("note", &note).await.unwrap();
    let (between, _) = alice.ask("history", &json!({})).await;
    assert_eq!(
        between,
        Vec::<Value>::new(),
        "an unsubscribed client has left the room"
    );
}

#[tokio::test]
async fn a_token_is_renewed_by_its_own_subject_only() {
    let host = host().await;
    let mut team = host.watch(&json!({ "token": "team/a,b/60000" })).await;
    for name in ["a", "b"] {
        team.ask("subscribe", &json!({ "account": name })).await;
        team.until_live().await;
    }
    let (_, answer) = team
        .ask("authenticate", &json!({ "token": "other/a,b/60000" }))
        .await;
    assert_eq!(answer["code"], "wrong_subject");
    let (_, answer) = team
        .ask("authenticate", &json!({ "token": "garbage" }))
        .await;
    assert_eq!(answer["code"], "unauthorized");
    let (_, answer) = team
        .ask("authenticate", &json!({ "token": "team/a/60000" }))
        .await;
    assert_eq!(
        (&answer["ok"], &answer["ended"]),
        (&json!(true), &json!(["b"]))
    );
    host.record("b", 1..=1).await;
    host.record("a", 1..=1).await;
    assert_eq!(
        team.expect("update").await["account"],
        "a",
        "b was lost with the old token"
    );
}

#[tokio::test]
async fn a_token_that_expires_is_announced_and_closes_the_socket() {
    let host = host().await;
    let mut alice = host.watch(&json!({ "token": "alice/alice/600" })).await;
    let position = alice.until_live().await["position"].clone();
    let warning = alice.expect("auth_expiring").await;
    assert!(warning["expires_at"].is_string());
    let closing = alice.expect("closing").await;
    assert_eq!(closing["code"], "expired");
    assert_eq!(closing["position"], position);
    assert!(closing["retry_ms"].is_u64() && closing["message"].is_string());
    assert_eq!(alice.ws.closed().await, Some(1008));
    host.until_empty().await;
}

#[tokio::test]
async fn a_renewed_token_outlives_the_first() {
    let host = host().await;
    let mut alice = host.watch(&json!({ "token": "alice/alice/2000" })).await;
    alice.until_live().await;
    alice.expect("auth_expiring").await;
    let (_, answer) = alice.ask("authenticate", &json!({ "token": ALICE })).await;
    assert_eq!(answer["ok"], true);
    tokio::time::sleep(Duration::from_millis(2_200)).await;
    host.record("alice", 1..=1).await;
    alice.expect("update").await;
}

#[tokio::test]
async fn too_many_refusals_close_the_session() {
    let host = host().await;
    let mut ws = host.ws().await;
    let mut refused = 0;
    let code = loop {
        ws.send(r#"40/feed,{"token":"x"}"#).await;
        match ws.frame().await {
            Some(Ok(frame)) if frame.is_text() => refused += 1,
            Some(Ok(tokio_tungstenite::tungstenite::Message::Close(close))) => {
                break close.map(|close| u16::from(close.code));
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(code, Some(1008));
    assert!((16..=17).contains(&refused), "{refused}");
}

#[tokio::test]
async fn a_polling_client_follows_and_upgrades_without_a_gap() {
    let host = host().await;
    let session = host.poll().await;
    session
        .send(&format!(r#"40/feed,{{"token":"{ALICE}"}}"#))
        .await;
    let recording = async { host.record("alice", 1..=300).await };
    let following = async {
        let mut packets = Vec::new();
        let live = |packets: &Vec<String>| packets.iter().any(|p| p.contains("\"update\""));
        while !live(&packets) {
            let body = session.receive().await;
            packets.extend(body.split('\u{1e}').map(str::to_owned));
        }
        let mut ws = session.upgrade().await.unwrap();
        let probe = async {
            ws.send("2probe").await;
            assert_eq!(ws.text().await, "3probe");
        };
        // Like stock clients, it keeps polling until the probe is answered.
        let (body, ()) = futures_util::future::join(session.receive(), probe).await;
        packets.extend(body.split('\u{1e}').map(str::to_owned));
        ws.send("5").await;
        (packets, ws)
    };
    let ((), (packets, ws)) = futures_util::future::join(recording, following).await;
    let mut watcher = FeedClient::new(ws);
    let events = packets
        .iter()
        .filter(|packet| packet.starts_with("42/feed,"));
    let mut offset = 0;
    for (name, payload) in events.map(|packet| read_event(packet)) {
        offset = follow(&name, &payload, offset);
    }
    while offset < 300 {
        let (name, payload) = watcher.event().await;
        offset = follow(&name, &payload, offset);
    }
}

/// The offset after a message, which must continue the previous one.
fn follow(name: &str, payload: &Value, offset: u64) -> u64 {
    match name {
        "snapshot" => payload["offset"].as_u64().unwrap(),
        "update" => {
            assert_eq!(payload["from"], offset + 1);
            payload["to"].as_u64().unwrap()
        }
        _ => offset,
    }
}
