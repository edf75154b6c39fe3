//! Pushes to Socket.IO rooms: delivery, order, acknowledgements, and what is refused.

use std::time::Duration;

use futures_util::{future::join_all, poll};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json, value::RawValue};
use tallycast::{Hub, Jwt, Memory, Push, PushTo};

use crate::support::{
    SOON,
    api_server::{Answer, answer},
    engineio_client::Ws,
    feed_hub::account,
    host::Host,
    tokens::{SECRET, bearer},
};

async fn host() -> Host {
    let hub = Hub::builder(Memory::new(), Jwt::hs256(SECRET).unwrap());
    Host::start(hub.build().await.unwrap()).await
}

fn pusher() -> String {
    bearer(json!({ "sub": "shop", "scope": "push", "accounts": "*" }))
}

async fn push(host: &Host, token: &str, body: &Value) -> Answer {
    answer(request(host).bearer_auth(token).json(body)).await
}

fn request(host: &Host) -> RequestBuilder {
    let url = format!("http://{}/v1/push", host.address);
    reqwest::Client::new().request(Method::POST, url)
}

/// A socket in the namespace `/feed` that follows its account, past `live`.
async fn device(host: &Host, subject: &str, accounts: &[&str]) -> Ws {
    let token = bearer(json!({ "sub": subject, "accounts": accounts }));
    let mut ws = host.ws().await;
    let auth = json!({ "token": token, "account": accounts[0] });
    assert!(
        ws.join(&format!("40/feed,{auth}"))
            .await
            .starts_with("40/feed,")
    );
    while !ws.packet().await.starts_with(r#"42/feed,["live""#) {}
    ws
}

#[tokio::test]
async fn a_push_reaches_the_devices_of_an_account_and_nobody_else() {
    let host = host().await;
    let mut devices = [
        device(&host, "alice", &["alice"]).await,
        device(&host, "her-tablet", &["alice"]).await,
    ];
    let mut bob = device(&host, "bob", &["bob"]).await;
    let data = json!({ "text": "1 < 2 & \"so\" 电", "list": [1, 2] });
    let sent = json!({ "to": { "account": "alice" }, "event": "coupon", "data": data });
    let pushed = push(&host, &pusher(), &sent).await;
    assert_eq!(
        (pushed.status.as_u16(), &pushed.body),
        (200, &json!({ "sockets": 2 }))
    );
    for device in &mut devices {
        let packet = device.packet().await;
        let event: Value = serde_json::from_str(packet.strip_prefix("42/feed,").unwrap()).unwrap();
        assert_eq!(event, json!(["coupon", data]));
    }

    for (to, sockets) in [
        (json!({ "subject": "bob" }), 1),
        (json!({ "all": true }), 3),
        (json!({ "room": "account:bob" }), 1),
        (json!({ "room": "nobody's" }), 0),
    ] {
        let sent = json!({ "to": to, "event": "note", "data": [1, 2] });
        let pushed = push(&host, &pusher(), &sent).await;
        assert_eq!(pushed.body, json!({ "sockets": sockets }), "{to}");
    }
    for _ in 0..3 {
        assert_eq!(bob.packet().await, r#"42/feed,["note",[1,2]]"#);
    }
}

/// More sockets than are written to at once.
async fn crowd(host: &Host) -> Vec<Ws> {
    let mut crowd = Vec::new();
    for _ in 0..300 {
        crowd.push(device(host, "alice", &["alice"]).await);
    }
    crowd
}

fn note(to: PushTo, number: u32) -> Push {
    Push::new(to, "note", &number).unwrap()
}

#[tokio::test]
async fn pushes_of_many_callers_go_out_in_the_order_in_which_they_came() {
    let host = host().await;
    let mut alice = crowd(&host).await;
    let mut bob = device(&host, "bob", &["bob"]).await;
    let to_alice = || PushTo::Account(account("alice"));
    // The first is under way while the others come.
    let pushes: Vec<Push> = (1..=40)
        .map(|number| match number {
            20 => note(PushTo::All, number),
            21 => note(PushTo::Account(account("bob")), number),
            22 => note(to_alice(), number).volatile(),
            _ => note(to_alice(), number),
        })
        .collect();
    let pushed = join_all(pushes.into_iter().map(|push| host.hub.push(push))).await;
    let sockets: Vec<usize> = pushed.into_iter().map(|p| p.unwrap().sockets).collect();
    let mut expected = vec![300; 40];
    (expected[19], expected[20]) = (301, 1);
    assert_eq!(sockets, expected);
    for device in &mut alice {
        for number in (1..=40).filter(|number| *number != 21) {
            assert_eq!(
                device.packet().await,
                format!(r#"42/feed,["note",{number}]"#)
            );
        }
    }
    for number in [20, 21] {
        assert_eq!(bob.packet().await, format!(r#"42/feed,["note",{number}]"#));
    }
}

#[tokio::test]
async fn a_push_whose_caller_has_gone_is_sent_and_keeps_nobody_waiting() {
    let host = host().await;
    let mut alice = crowd(&host).await;
    for number in [1, 2] {
        let mut pushing = Box::pin(host.hub.push(note(PushTo::All, number)));
        // The first has begun, the second waits.
        assert!(poll!(&mut pushing).is_pending());
    }
    let last = host.hub.push(note(PushTo::All, 3)).await.unwrap();
    assert_eq!(last.sockets, 300);
    for device in &mut alice {
        for number in [1, 2, 3] {
            assert_eq!(
                device.packet().await,
                format!(r#"42/feed,["note",{number}]"#)
            );
        }
    }
}

#[tokio::test]
async fn pushes_beyond_the_places_to_wait_in_come_in_order() {
    const PLACES: u32 = 256;
    let host = host().await;
    let mut alice = crowd(&host).await;
    let pushes = (0..2 * PLACES).map(|number| note(PushTo::All, number));
    let pushed = join_all(pushes.map(|push| host.hub.push(push))).await;
    assert!(
        pushed
            .into_iter()
            .all(|pushed| pushed.unwrap().sockets == 300)
    );
    let last = alice.last_mut().unwrap();
    for number in 0..2 * PLACES {
        assert_eq!(last.packet().await, format!(r#"42/feed,["note",{number}]"#));
    }
}

#[tokio::test]
async fn acknowledgements_are_counted_in_their_time() {
    let host = host().await;
    let mut eager = device(&host, "alice", &["alice"]).await;
    let _silent = device(&host, "her-tablet", &["alice"]).await;
    let sent = json!({ "to": { "account": "alice" }, "event": "ring", "ack_timeout_ms": 500 });
    let token = pusher();
    let pushing = push(&host, &token, &sent);
    let answering = async {
        let packet = eager.packet().await;
        let (id, event) = packet
            .strip_prefix("42/feed,")
            .unwrap()
            .split_once('[')
            .unwrap();
        assert_eq!(event, r#""ring",null]"#);
        eager.send(format!("43/feed,{id}[\"here\"]")).await;
    };
    let (pushed, ()) = tokio::join!(pushing, answering);
    assert_eq!(pushed.body, json!({ "sockets": 2, "acknowledged": 1 }));
}

#[tokio::test]
async fn a_push_cannot_speak_for_the_feed() {
    let host = host().await;
    let mut device = device(&host, "alice", &["alice"]).await;
    let events = [
        "snapshot",
        "update",
        "live",
        "rollover",
        "closing",
        "auth_expiring",
        "connect",
        "connect_error",
        "disconnect",
        "disconnecting",
        "newListener",
        "removeListener",
    ];
    for event in events {
        let sent = json!({ "to": { "account": "alice" }, "event": event, "data": {} });
        let refused = push(&host, &pusher(), &sent).await;
        assert_eq!(refused.refusal(), (400, "reserved_event"), "{event}");
    }
    // In a namespace of the host's own, the feed's event names are free.
    host.hub.socket_io().ns("/shop", async || {});
    let sent = json!({ "to": { "all": true }, "namespace": "/shop", "event": "update" });
    assert_eq!(
        push(&host, &pusher(), &sent).await.body,
        json!({ "sockets": 0 })
    );
    let sent = json!({ "to": { "all": true }, "namespace": "/none", "event": "x" });
    assert_eq!(
        push(&host, &pusher(), &sent).await.refusal(),
        (404, "unknown_namespace")
    );

    let told = Push::new(PushTo::Account(account("alice")), "last", &true).unwrap();
    assert_eq!(host.hub.push(told.volatile()).await.unwrap().sockets, 1);
    assert_eq!(device.packet().await, r#"42/feed,["last",true]"#);
}

#[tokio::test]
async fn whom_a_push_may_reach_its_token_says() {
    let host = host().await;
    let to_alice = json!({ "to": { "account": "alice" }, "event": "x" });
    let scopes = [("watch record admin", 404), ("push", 200)];
    for (scope, status) in scopes {
        let token = bearer(json!({ "sub": "shop", "scope": scope, "accounts": ["alice"] }));
        assert_eq!(
            push(&host, &token, &to_alice).await.status,
            status,
            "{scope}"
        );
    }
    let narrow = bearer(json!({ "sub": "shop", "scope": "push", "accounts": ["alice"] }));
    for to in [
        json!({ "account": "bob" }),
        json!({ "subject": "alice" }),
        json!({ "room": "r" }),
        json!({ "all": true }),
    ] {
        let refused = push(&host, &narrow, &json!({ "to": to, "event": "x" })).await;
        assert_eq!(refused.refusal(), (404, "not_found"), "{to}");
    }
    assert_eq!(
        answer(request(&host).json(&to_alice)).await.refusal(),
        (401, "unauthorized")
    );
}

#[tokio::test]
async fn what_is_no_push_is_refused() {
    let host = host().await;
    let to = json!({ "all": true });
    let long = "x".repeat(Push::DATA_BYTES_MAX);
    for body in [
        json!({}),
        json!([]),
        json!({ "to": to }),
        json!({ "to": {}, "event": "x" }),
        json!({ "to": { "all": false }, "event": "x" }),
        json!({ "to": { "all": true, "room": "r" }, "event": "x" }),
        json!({ "to": { "everyone": true }, "event": "x" }),
        json!({ "to": to, "event": "" }),
        json!({ "to": to, "event": "e".repeat(129) }),
        json!({ "to": to, "event": 7 }),
        json!({ "to": to, "event": "x", "dta": 1 }),
        json!({ "to": to, "event": "x", "data": long }),
        json!({ "to": to, "event": "x", "ack_timeout_ms": 0 }),
        json!({ "to": to, "event": "x", "ack_timeout_ms": 30_001 }),
        json!({ "to": to, "event": "x", "ack_timeout_ms": -1 }),
        json!({ "to": to, "event": "x", "volatile": true, "ack_timeout_ms": 5 }),
    ] {
        let refused = push(&host, &pusher(), &body).await;
        assert_eq!(refused.refusal(), (400, "invalid_push"), "{body}");
    }
    assert!(Duration::from_millis(30_000) == Push::ACK_TIMEOUT_MAX);
}

/// Arrays and objects in each other, with brackets in their names.
fn nested(levels: usize, inside: &str) -> String {
    let mut json = inside.to_owned();
    for level in 0..levels {
        json = match level % 2 {
            0 => format!("[{json}]"),
            _ => format!(r#"{{"[]\"}}":{json}}}"#),
        };
    }
    json
}

/// The parsers of clients have limits of their own, beyond which they fail.
#[tokio::test]
async fn the_data_of_a_push_is_nested_only_so_deep() {
    let host = host().await;
    let mut alice = device(&host, "alice", &["alice"]).await;
    let push = async |data: &str| {
        let body = format!(r#"{{"to":{{"account":"alice"}},"event":"e","data":{data}}}"#);
        let request = request(&host).bearer_auth(pusher());
        answer(
            request
                .header("content-type", "application/json")
                .body(body),
        )
        .await
    };
    let brackets = "[".repeat(1_000);
    for data in [
        nested(100, "1"),
        nested(98, "[],{},[[]]"),
        nested(100, r#""[[[\"{[\\""#),
        format!(r#"["{brackets}", "\\", "{brackets}"]"#),
    ] {
        let pushed = push(&data).await;
        assert_eq!(pushed.body, json!({ "sockets": 1 }), "{data}");
        assert_eq!(alice.packet().await, format!(r#"42/feed,["e",{data}]"#));
    }
    for data in [
        nested(101, "1"),
        nested(99, "[],{},[[]]"),
        format!(r#"["\\", {}]"#, nested(100, "1")),
        format!("{}{}", "[".repeat(20_000), "]".repeat(20_000)),
    ] {
        let refused = push(&data).await;
        assert_eq!(refused.refusal(), (400, "invalid_push"), "{data}");
        assert!(refused.text.contains("100 levels"), "{}", refused.text);
        let value = RawValue::from_string(data).unwrap();
        let refused = Push::new(PushTo::All, "e", &value).unwrap_err();
        assert_eq!(refused.code(), "invalid_push");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_pushes_leaves_room_for_pings() {
    const PUSHES: u64 = 20_000;
    let hub = Hub::builder(Memory::new(), Jwt::hs256(SECRET).unwrap())
        .heartbeat(Duration::from_millis(20), SOON);
    let host = Host::start(hub.build().await.unwrap()).await;
    let mut device = device(&host, "alice", &["alice"]).await;
    let everybody = || PushTo::Account(account("alice"));
    // The client does not read meanwhile: pushes that do not fit are lost.
    for number in 1..=PUSHES {
        let push = Push::new(everybody(), "note", &(number, "x".repeat(1_000))).unwrap();
        host.hub.push(push).await.unwrap();
    }
    let (mut last, mut pings, mut got) = (0, 0, 0);
    let last_word = Push::new(everybody(), "last", &()).unwrap();
    loop {
        let packet = device.text().await;
        if packet == "2" {
            pings += 1;
            device.send("3".to_owned()).await;
            // It comes once there is room again.
            host.hub.push(last_word.clone()).await.unwrap();
            continue;
        }
        let Some(note) = packet.strip_prefix(r#"42/feed,["note",["#) else {
            assert_eq!(packet, r#"42/feed,["last",null]"#);
            break;
        };
        let number: u64 = note.split(',').next().unwrap().parse().unwrap();
        assert!(number > last, "{number} after {last}");
        (last, got) = (number, got + 1);
    }
    assert!(pings > 0 && got < PUSHES, "{pings} pings, {got} pushes");
}

#[tokio::test]
async fn an_event_is_what_it_is_called_on_every_transport() {
    let host = host().await;
    let mut device = device(&host, "alice", &["alice"]).await;
    let session = host.poll().await;
    let token = bearer(json!({ "sub": "alice", "accounts": ["alice"] }));
    session
        .send(&format!(r#"40/feed,{{"token":"{token}"}}"#))
        .await;
    while !session.receive().await.contains(r#"["live""#) {}
    for event in ["\"quoted\" \\ 电", "plain"] {
        let push = Push::new(PushTo::All, event, &json!({ "a": [1] })).unwrap();
        assert_eq!(host.hub.push(push).await.unwrap().sockets, 2);
        let expected = json!([event, { "a": [1] }]);
        for packet in [device.packet().await, session.receive().await] {
            let got: Value =
                serde_json::from_str(packet.strip_prefix("42/feed,").unwrap()).unwrap();
            assert_eq!(got, expected);
        }
    }
}
