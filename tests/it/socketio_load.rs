//! Many requests, slow clients, comings and goings: what they cost, and that nothing is lost.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Handle,
    time::{Instant, timeout},
};

use super::{
    engine::{Host, SEPARATOR, SOON, Ws},
    watching::{ALICE, Watcher, account, described, host, settings},
};

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_requests_are_answered_in_order() {
    const REQUESTS: u64 = 20_000;
    let host = host().await;
    host.record("alice", 1..=1).await;
    let Watcher { ws, .. } = host
        .watch(&json!({ "token": ALICE, "subscribe": false }))
        .await;
    let (mut sink, stream) = futures_util::StreamExt::split(ws.stream);
    let asking = async {
        for n in 0..REQUESTS {
            let request = format!(r#"42/feed,{n}["history",{{"limit":1}}]"#);
            let request = tokio_tungstenite::tungstenite::Message::text(request);
            futures_util::SinkExt::feed(&mut sink, request)
                .await
                .unwrap();
        }
        futures_util::SinkExt::flush(&mut sink).await.unwrap();
    };
    let answering = async {
        let mut frames = stream;
        let mut next = 0;
        while next < REQUESTS {
            let frame = futures_util::StreamExt::next(&mut frames)
                .await
                .unwrap()
                .unwrap();
            let text = frame.into_text().unwrap();
            if text.as_str() != "2" {
                assert!(
                    text.starts_with(&format!("43/feed,{next}[{{\"ok\":true")),
                    "{text}"
                );
                next += 1;
            }
        }
    };
    let both = futures_util::future::join(asking, answering);
    timeout(Duration::from_secs(60), both)
        .await
        .expect("all answers in a minute");
}

#[tokio::test]
async fn a_polling_body_full_of_requests_is_answered_in_order() {
    const REQUESTS: usize = 2_000;
    let host = host().await;
    let session = host.poll().await;
    session
        .send(&format!(
            r#"40/feed,{{"token":"{ALICE}","subscribe":false}}"#
        ))
        .await;
    session.receive().await;
    let requests = (0..REQUESTS).map(|n| format!(r#"42/feed,{n}["history",{{"limit":1}}]"#));
    let requests = requests.collect::<Vec<_>>().join(SEPARATOR);
    let answering = async {
        let mut next = 0;
        while next < REQUESTS {
            let body = session.receive().await;
            for packet in body.split(SEPARATOR).filter(|packet| *packet != "2") {
                assert!(packet.starts_with(&format!("43/feed,{next}[")), "{packet}");
                next += 1;
            }
        }
    };
    futures_util::future::join(session.send(&requests), answering).await;
}

/// The whole of a long description, so that a few hundred events fill every buffer on the way.
fn long() -> String {
    "x".repeat(500)
}

/// A client that reads nothing, on a socket with a small receive buffer.
async fn deaf(host: &Host, token: &str) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut tcp = socket.connect(host.address).await.unwrap();
    let upgrade = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n\
                   Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    tcp.write_all(upgrade.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tcp.read_u8().await.unwrap());
    }
    tcp.write_all(&frame(&format!(r#"40/feed,{{"token":"{token}"}}"#)))
        .await
        .unwrap();
    tcp
}

/// A client's text frame, masked with zeros.
fn frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81, 0x80 | u8::try_from(text.len()).unwrap(), 0, 0, 0, 0];
    frame.extend(text.as_bytes());
    frame
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stops_reading_is_closed_and_costs_the_others_nothing() {
    let hub = settings()
        .write_stall(Duration::from_secs(1))
        .build()
        .await
        .unwrap();
    let host = Host::start(hub).await;
    let deaf = deaf(&host, ALICE).await;
    let mut healthy = host.watch(&json!({ "token": ALICE })).await;
    healthy.until_live().await;
    assert_eq!(host.hub.sessions(), 2);
    let (mut slowest, mut offset, mut closed_after) = (Duration::ZERO, 0, None);
    let start = Instant::now();
    while closed_after.is_none() {
        offset += 1;
        let recorded = Instant::now();
        host.record_described("alice", offset, &long()).await;
        assert_eq!(healthy.expect("update").await["to"], offset);
        slowest = slowest.max(recorded.elapsed());
        if host.hub.sessions() == 1 {
            closed_after = Some(start.elapsed());
        }
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "still there after {offset} updates"
        );
    }
    println!("closed after {closed_after:?} and {offset} updates; slowest push {slowest:?}");
    assert!(slowest < Duration::from_millis(900), "{slowest:?}");
    drop(deaf);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_loses_nothing() {
    const EVENTS: u64 = 3_000;
    let host = host().await;
    let mut slow = host.watch(&json!({ "token": ALICE })).await;
    slow.until_live().await;
    for id in 1..=EVENTS {
        host.record_described("alice", id, &long()).await;
    }
    let mut offset = 0;
    while offset < EVENTS {
        let update = slow.expect("update").await;
        assert_eq!(update["from"], offset + 1);
        offset = update["to"].as_u64().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_polling_client_that_is_slow_loses_nothing() {
    const EVENTS: u64 = 1_000;
    let host = host().await;
    let session = host.poll().await;
    session
        .send(&format!(r#"40/feed,{{"token":"{ALICE}"}}"#))
        .await;
    for id in 1..=EVENTS {
        host.record_described("alice", id, &long()).await;
    }
    let mut offset = 0;
    while offset < EVENTS {
        let body = session.receive().await;
        for packet in body
            .split(SEPARATOR)
            .filter(|packet| packet.starts_with("42/feed,"))
        {
            let (name, payload) = super::watching::read_event(packet);
            match name.as_str() {
                "snapshot" => offset = payload["offset"].as_u64().unwrap(),
                "update" => {
                    assert_eq!(payload["from"], offset + 1);
                    offset = payload["to"].as_u64().unwrap();
                }
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn sessions_and_rooms_are_back_at_base() {
    let host = host().await;
    let mut watchers = Vec::new();
    for n in 0..50 {
        let mut watcher = host
            .watch(&json!({ "token": format!("s{n}/a{n}/60000") }))
            .await;
        watcher.until_live().await;
        watchers.push(watcher);
    }
    assert_eq!(host.hub.sessions(), 50);
    let (cut, closed) = watchers.split_at_mut(25);
    for watcher in closed {
        watcher.ws.stream.close(None).await.unwrap();
        watcher.ws.closed().await;
    }
    for watcher in cut {
        // A reset, as a phone's network does it.
        if let tokio_tungstenite::MaybeTlsStream::Plain(tcp) = watcher.ws.stream.get_mut() {
            tcp.set_zero_linger().unwrap();
        }
    }
    drop(watchers);
    host.until_empty().await;
    // The engine lets go of a socket a moment after its session is over.
    let namespace = host.hub.socket_io().of("/feed").unwrap();
    let empty = async {
        while !namespace.clone().rooms().await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, empty)
        .await
        .expect("no room outlives its sockets");
}

#[tokio::test]
async fn a_drain_says_goodbye_and_closes_everybody() {
    let host = host().await;
    host.record("alice", 1..=1).await;
    let mut watchers = Vec::new();
    for _ in 0..20 {
        let mut watcher = host.watch(&json!({ "token": ALICE })).await;
        watcher.until_live().await;
        watchers.push(watcher);
    }
    let mut silent = host.ws().await;
    silent.join("40").await;
    let session = host.poll().await;
    session
        .send(&format!(r#"40/feed,{{"token":"{ALICE}"}}"#))
        .await;
    while !session.receive().await.contains("live") {}

    let hub = host.hub.clone();
    let draining = tokio::spawn(async move { hub.drain(Duration::from_secs(4)).await });
    let body = session.receive().await;
    assert!(
        body.contains(r#"["closing",{"#) && body.contains(r#""code":"shutdown""#),
        "{body}"
    );
    for mut watcher in watchers {
        let closing = watcher.expect("closing").await;
        assert_eq!(closing["code"], "shutdown");
        assert!(closing["position"].is_string());
        assert_eq!(watcher.ws.closed().await, Some(1012));
        // As a client does: it answers the close.
        while watcher.ws.frame().await.is_some() {}
    }
    assert_eq!(silent.closed().await, Some(1012));
    drop(silent);
    timeout(SOON, draining).await.unwrap().unwrap();
    assert_eq!(host.hub.sessions(), 0);
    assert_eq!(host.get("EIO=4&transport=polling").await.status(), 503);
    assert_eq!(session.get().await.status(), 400);
}

#[tokio::test]
async fn a_drain_does_not_wait_for_clients_that_do_not_answer() {
    let host = host().await;
    let _deaf = deaf(&host, ALICE).await;
    host.until_sessions(1).await;
    let start = Instant::now();
    host.hub.drain(Duration::from_secs(1)).await;
    assert!(
        start.elapsed() < Duration::from_secs(8),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(host.hub.sessions(), 0);
}

#[tokio::test]
async fn sessions_are_bounded() {
    let hub = settings().sessions_max(2).build().await.unwrap();
    let host = Host::start(hub).await;
    let (first, _second) = (host.ws().await, host.poll().await);
    assert_eq!(host.get("EIO=4&transport=polling").await.status(), 503);
    assert!(host.try_ws("EIO=4&transport=websocket").await.is_err());
    drop(first);
    host.until_sessions(1).await;
    host.ws().await;
}

/// Pushes take room in the same connection, and in one go more than it has.
#[tokio::test(flavor = "multi_thread")]
async fn pushes_of_a_host_do_not_disturb_the_feed() {
    const EVENTS: u64 = 1_000;
    // A ping that finds the engine's channel full ends the session: none is due here, however long it takes.
    let without_pings = settings().heartbeat(Duration::from_secs(3_600), Duration::from_secs(60));
    let host = Host::start(without_pings.build().await.unwrap()).await;
    let mut alice = host.watch(&json!({ "token": ALICE })).await;
    alice.until_live().await;
    // But the first, which nobody sees: the engine sends it at the next tick of the clock that this waits for.
    tokio::time::sleep(Duration::from_millis(2)).await;
    alice.ask("history", &json!({})).await;
    let done = AtomicBool::new(false);
    let (io, runtime) = (host.hub.socket_io(), Handle::current());
    let push_until_done = || {
        let note = json!({ "type": "note" });
        while !done.load(Ordering::Relaxed) {
            for _ in 0..100 {
                // It is lossy by nature: what does not fit is dropped.
                let room = io.of("/feed").unwrap().to("account:alice");
                let _lost = runtime.block_on(room.emit("note", &note));
            }
            std::thread::sleep(Duration::from_micros(100));
        }
    };
    let follow = async {
        let _done = SetOnDrop(&done);
        let recording = host.record("alice", 1..=EVENTS);
        let following = async {
            let mut offset = 0;
            while offset < EVENTS {
                let (name, payload) = alice.event().await;
                if name == "update" {
                    assert_eq!(payload["from"], offset + 1);
                    offset = payload["to"].as_u64().unwrap();
                }
            }
        };
        futures_util::future::join(recording, following).await;
    };
    tokio::task::block_in_place(|| {
        std::thread::scope(|threads| {
            threads.spawn(push_until_done);
            Handle::current()
                .block_on(timeout(Duration::from_secs(60), follow))
                .unwrap();
        });
    });
}

/// Ends the other thread also when this one fails.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Totals of a subscription in that mode, however slow its client is.
#[tokio::test]
async fn a_slow_totals_reader_gets_the_newest_totals() {
    let host = host().await;
    let session = host.poll().await;
    let auth = json!({ "token": ALICE, "mode": "totals" });
    session.send(&format!("40/feed,{auth}")).await;
    for id in 1..=500 {
        host.record_described("alice", id, &long()).await;
    }
    let newest = host
        .hub
        .feed()
        .snapshot(&account("alice"), 0)
        .await
        .unwrap();
    let newest: Value = serde_json::from_str(newest.json().get()).unwrap();
    let (mut last, mut messages) = (Value::Null, 0);
    while last["offset"] != 500 && last["to"] != 500 {
        let body = session.receive().await;
        for packet in body
            .split(SEPARATOR)
            .filter(|packet| packet.starts_with("42/feed,"))
        {
            last = super::watching::read_event(packet).1;
            messages += 1;
        }
    }
    assert_eq!(last["totals"], newest["totals"]);
    assert!(messages < 100, "{messages} messages are no conflation");
}

#[tokio::test]
async fn a_reader_that_leaves_in_the_middle_harms_nobody() {
    let host = host().await;
    let mut ws: Vec<Ws> = Vec::new();
    for n in 0..20 {
        let mut one = host.ws().await;
        match n % 4 {
            0 => one.send(format!(r#"40/feed,{{"token":"{ALICE}"}}"#)).await,
            1 => one.send("40/feed,").await,
            2 => one.send("41/feed,").await,
            _ => one.send("4").await,
        }
        ws.push(one);
    }
    drop(ws);
    host.until_empty().await;
    host.watch(&json!({ "token": ALICE }))
        .await
        .until_live()
        .await;
}

#[tokio::test]
async fn a_token_that_expires_ends_a_client_that_reads_nothing() {
    let host = host().await;
    let _deaf = deaf(&host, "alice/alice/1000").await;
    host.until_sessions(1).await;
    let start = Instant::now();
    // Fills every buffer on the way, so that neither a message nor a close frame gets through.
    let mut id = 0;
    while host.hub.sessions() == 1 {
        id += 1;
        host.record_described("alice", id, &long()).await;
        assert!(
            start.elapsed() < Duration::from_secs(6),
            "{:?}",
            start.elapsed()
        );
    }
}

#[tokio::test]
async fn a_message_larger_than_a_polling_body_still_comes() {
    let host = host().await;
    for id in 1..=300 {
        host.record_described("alice", id, &"\u{1f600}".repeat(100))
            .await;
    }
    let session = host.poll().await;
    let auth = json!({ "token": ALICE, "recent": 100 });
    session.send(&format!("40/feed,{auth}")).await;
    let mut body = String::new();
    while !body.contains("snapshot") {
        body = session.receive().await;
    }
    let snapshot = body
        .split(SEPARATOR)
        .find(|packet| packet.contains("snapshot"))
        .unwrap();
    let (_, snapshot) = super::watching::read_event(snapshot);
    assert_eq!(snapshot["recent"].as_array().unwrap().len(), 100);
}

/// A body has its bounds, and the engine forgets on an upgrade what it had kept for the next one.
#[tokio::test]
async fn what_does_not_fit_into_a_polling_body_survives_an_upgrade() {
    let host = host().await;
    let session = host.poll().await;
    session
        .send(&format!(r#"40/feed,{{"token":"{ALICE}"}}"#))
        .await;
    while !session.receive().await.contains("live") {}
    // Two updates that wait together: the first leaves room for another, both are more than a body.
    for ids in [1..=60, 61..=200] {
        let events = ids.map(|id| Ok(described("alice", id, &long())));
        host.hub.feed().append_all(events.collect()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let body = session.receive().await;
    let mut ws = session.upgrade().await.unwrap();
    ws.send("2probe").await;
    ws.send("5").await;
    assert_eq!(ws.text().await, "3probe");
    host.record("alice", 201..=201).await;
    let mut offset = body
        .split(SEPARATOR)
        .fold(0, |offset, packet| after(packet, offset));
    while offset < 201 {
        offset = after(&ws.packet().await, offset);
    }
}

/// The offset after a packet, which continues the one before.
fn after(packet: &str, offset: u64) -> u64 {
    if !packet.starts_with("42/feed,") {
        return offset;
    }
    let (name, payload) = super::watching::read_event(packet);
    match name.as_str() {
        "snapshot" => payload["offset"].as_u64().unwrap(),
        "update" => {
            assert_eq!(payload["from"], offset + 1);
            payload["to"].as_u64().unwrap()
        }
        _ => offset,
    }
}
