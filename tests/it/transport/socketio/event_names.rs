//! An event's name is any JSON string: however it is written, it is answered, and the connection stays.

use serde_json::json;

use crate::support::{
    engineio_client::SEPARATOR,
    feed_hub::{ALICE, host},
    host::Host,
    protocol_echo,
    raw_websocket::{FIN, RawWebSocket, TEXT, masked},
};

/// Names as JSON, and what a request of that name without an argument is answered.
const NAMES: [(&str, &str); 16] = [
    (r#""a\"b""#, "unknown_event"),
    (r#""\"""#, "unknown_event"),
    (r#""\u202e""#, "unknown_event"),
    (r#""\\""#, "unknown_event"),
    (r#""\\\"\\""#, "unknown_event"),
    (r#""\/\b\f\n\r\t""#, "unknown_event"),
    (r#""\u0000""#, "unknown_event"),
    (r#""subscribe\u0000""#, "unknown_event"),
    (r#""\ud83c\udf5c 电""#, "unknown_event"),
    ("\"\u{7f}\"", "malformed"),
    (r#""\u007f""#, "unknown_event"),
    // Half a character, and no escape of JSON.
    (r#""\ud83c""#, "malformed"),
    (r#""\x""#, "malformed"),
    (r#""\u00""#, "malformed"),
    (r#""\u0073ubscribe""#, r#""ok":true,"account":"alice""#),
    (r#""histor\u0079""#, r#""ok":true,"epoch""#),
];

fn request(ack: usize, name: &str) -> String {
    format!("42/feed,{ack}[{name}]")
}

#[tokio::test]
async fn a_name_with_escapes_is_answered_on_a_websocket() {
    let host = host().await;
    let mut alice = host
        .watch(&json!({ "token": ALICE, "subscribe": false }))
        .await;
    for (ack, (name, expected)) in NAMES.iter().enumerate() {
        alice.ws.send(request(ack, name)).await;
        let start = format!("43/feed,{ack}[");
        let mut answer = alice.ws.packet().await;
        while !answer.starts_with(&start) {
            answer = alice.ws.packet().await;
        }
        assert!(answer.contains(expected), "{name}: {answer}");
        // Without an ack there is no answer.
        alice.ws.send(format!("42/feed,[{name}]")).await;
    }
    assert_eq!(alice.ask("history", &json!({})).await.1["ok"], true);
}

#[tokio::test]
async fn a_name_with_escapes_is_answered_on_polling() {
    let host = host().await;
    let session = host.poll().await;
    let auth = json!({ "token": ALICE, "subscribe": false });
    session.send(&format!("40/feed,{auth}")).await;
    let requests = NAMES.iter().enumerate();
    let requests: Vec<_> = requests
        .map(|(ack, (name, _))| request(ack, name))
        .collect();
    session.send(&requests.join(SEPARATOR)).await;
    let mut received = String::new();
    for (ack, (name, expected)) in NAMES.iter().enumerate() {
        let start = format!("43/feed,{ack}[");
        while !received.contains(&start) {
            received.push_str(&session.receive().await);
            received.push_str(SEPARATOR);
        }
        let answer = received.split(SEPARATOR).find(|p| p.starts_with(&start));
        assert!(answer.unwrap().contains(expected), "{name}: {answer:?}");
    }
}

/// Also with spaces, in fragments and in TCP segments, split anywhere.
#[tokio::test]
async fn a_name_with_escapes_is_read_in_any_split() {
    let host = host().await;
    let path = "/socket.io/?EIO=4&transport=websocket";
    let mut socket = RawWebSocket::open(host.address, path, ALICE).await;
    let auth = json!({ "token": ALICE, "subscribe": false });
    let connect = format!("40/feed,{auth}");
    socket.send(masked(FIN | TEXT, connect.as_bytes())).await;
    while !socket
        .frame()
        .await
        .unwrap()
        .payload
        .starts_with(b"40/feed,")
    {}
    let history = r#"42/feed,7[ "\u0068istor\u0079" , {"limit" : 1} ]"#;
    let unknown = r#"42/feed,8["\\\"\ud83c\udf5c",{"\"":"\\"}]"#;
    let answers = async |socket: &mut RawWebSocket, bytes: &[Vec<u8>], expected: &str| {
        for part in bytes {
            socket.send(part).await;
            tokio::task::yield_now().await;
        }
        loop {
            let frame = socket.frame().await.expect("an answer, not the end");
            let answer = String::from_utf8(frame.payload).unwrap();
            if answer.starts_with("43/feed,") {
                assert!(answer.contains(expected), "{answer}");
                break;
            }
        }
    };
    for (packet, expected) in [(history, r#""ok":true"#), (unknown, "unknown_event")] {
        let frame = masked(FIN | TEXT, packet.as_bytes());
        for at in 1..packet.len() {
            let (begin, end) = packet.as_bytes().split_at(at);
            let parts = [masked(TEXT, begin), masked(FIN, end)];
            answers(&mut socket, &parts, expected).await;
        }
        for at in 1..frame.len() {
            let (begin, end) = frame.split_at(at);
            answers(&mut socket, &[begin.to_vec(), end.to_vec()], expected).await;
        }
    }
}

#[tokio::test]
async fn a_hosts_namespace_survives_a_name_with_escapes() {
    let hub = protocol_echo::settings().build().await.unwrap();
    protocol_echo::register(hub.socket_io());
    let host = Host::start(hub).await;
    let mut ws = host.ws().await;
    assert!(ws.join("40").await.starts_with("40{"));
    assert_eq!(ws.packet().await, r#"42["auth",{}]"#);
    ws.send(r#"42["a\"b",1]"#).await;
    ws.send(r#"451-["a\\b",{"_placeholder":true,"num":0}]"#)
        .await;
    ws.send_binary(b"attached").await;
    ws.send(r#"42["message","still \"here\""]"#).await;
    assert_eq!(ws.packet().await, r#"42["message-back","still \"here\""]"#);
}
