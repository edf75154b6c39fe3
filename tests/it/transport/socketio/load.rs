//! Many requests and many pushes: all are answered in order, and the feed is not disturbed.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use serde_json::json;
use tallycast::Quotas;
use tokio::{runtime::Handle, time::timeout};

use crate::support::{
    engineio_client::SEPARATOR,
    feed_client::FeedClient,
    feed_hub::{ALICE, host, settings},
    host::Host,
};

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_requests_are_answered_in_order() {
    const REQUESTS: u64 = 20_000;
    let quotas = Quotas {
        request_rate_per_subject: 100_000,
        ..Quotas::default()
    };
    let host = Host::start(settings().quotas(quotas).build().await.unwrap()).await;
    host.record("alice", 1..=1).await;
    let FeedClient { ws, .. } = host
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

/// Pushes share the connection, and this burst is larger than its queue.
#[tokio::test(flavor = "multi_thread")]
async fn pushes_of_a_host_do_not_disturb_the_feed() {
    const EVENTS: u64 = 1_000;
    // A ping that finds the engine's channel full ends the session, so no ping is due here.
    let without_pings = settings().heartbeat(Duration::from_secs(3_600), Duration::from_secs(60));
    let host = Host::start(without_pings.build().await.unwrap()).await;
    let mut alice = host.watch(&json!({ "token": ALICE })).await;
    alice.until_live().await;
    // Except the first, which clients do not see: the engine sends it at the next clock tick, which this waits for.
    tokio::time::sleep(Duration::from_millis(2)).await;
    alice.ask("history", &json!({})).await;
    let done = AtomicBool::new(false);
    let (io, runtime) = (host.hub.socket_io(), Handle::current());
    let push_until_done = || {
        let note = json!({ "type": "note" });
        while !done.load(Ordering::Relaxed) {
            for _ in 0..100 {
                // Emits are lossy: what does not fit is dropped.
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
