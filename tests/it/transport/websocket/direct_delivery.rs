//! Direct delivery on the plain WebSocket: updates are written while a socket's own task sleeps. They are whole, in
//! order, and only between frames.

use std::time::Duration;

use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::{Value, json};
use tallycast::{domain::ProfileChange, feed::Clock};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use crate::support::{
    SOON,
    feed_hub::{account, described, record_meanwhile, settings, until_done},
    host::Host,
    raw_websocket::{BINARY, CLOSE, FIN, PING, PONG, RawWebSocket, TEXT, close, masked, text},
    scripted_listener::{Script, sizes},
};

/// Alice's WebSocket, which has got updates since it is live, and so is on direct delivery.
async fn directly_delivered(host: &Host) -> RawWebSocket {
    directly_delivered_at(host, "/v1/feeds/alice/ws", "alice/alice/3600000")
        .await
        .0
}

async fn directly_delivered_at(host: &Host, path: &str, token: &str) -> (RawWebSocket, Value) {
    let mut socket = RawWebSocket::open(host.address, path, token).await;
    let mut offset = socket.until("live").await["offset"].as_u64().unwrap();
    let mut position = Value::Null;
    for _ in 0..3 {
        offset += 1;
        host.record("alice", offset..=offset).await;
        let update = socket.message().await;
        assert_eq!(update["to"], offset);
        position = update["position"].clone();
    }
    (socket, position)
}

async fn scripted() -> (Script, Host) {
    let script = Script::willing();
    let host = script.serve(settings().build().await.unwrap()).await;
    (script, host)
}

/// What happens while a client follows.
#[derive(Clone, Debug)]
enum Step {
    /// A commit of this many entries.
    Record(u64),
    /// A request, which is answered.
    Ask,
    /// A ping with a payload of this length.
    Ping(usize),
    /// Waits until the client has every entry.
    Rest,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1..20_u64).prop_map(Step::Record),
        1 => Just(Step::Ask),
        2 => (0..125_usize).prop_map(Step::Ping),
        2 => Just(Step::Rest),
    ];
    prop::collection::vec(step, 1..40)
}

/// What the client has seen: each kind of frame in order and without a gap.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    offset: u64,
    answers: u64,
    /// The last pong's payload: a WebSocket may leave out those of earlier pings.
    pong: Vec<u8>,
}

impl Seen {
    async fn read(&mut self, socket: &mut RawWebSocket) {
        let frame = socket.frame().await.expect("a frame, not the end");
        match frame.opcode {
            TEXT => {
                let message: Value = serde_json::from_slice(&frame.payload).unwrap();
                if message["type"] == "update" {
                    assert_eq!(message["from"], self.offset + 1);
                    self.offset = message["to"].as_u64().unwrap();
                } else {
                    let answer = json!({ "type": "pong", "id": self.answers, "ok": true });
                    assert_eq!(message, answer);
                    self.answers += 1;
                }
            }
            PONG => self.pong = frame.payload,
            // The server's heartbeat.
            PING => socket.send(masked(FIN | PONG, b"")).await,
            other => panic!("{other}: {frame:?}"),
        }
    }
}

/// Follows while these steps happen, on a connection that accepts these sizes. Returns the number of direct writes.
async fn follow(sizes: &[usize], steps: &[Step]) -> usize {
    let script = Script::new(sizes);
    let hub = settings().heartbeat(Duration::from_millis(20), SOON);
    let host = script.serve(hub.build().await.unwrap()).await;
    let mut socket = RawWebSocket::live(host.address).await;
    let mut wanted = Seen::default();
    let (frames, mut framed) = mpsc::channel(64);
    let (offset, mut offset_seen) = watch::channel(0);
    let mut asked = Vec::new();
    for step in steps {
        match step {
            Step::Record(count) => wanted.offset += count,
            Step::Ask => {
                let request = json!({ "type": "ping", "id": wanted.answers }).to_string();
                asked.push(text(&request));
                wanted.answers += 1;
            }
            Step::Ping(length) => {
                wanted.pong = vec![b'x'; *length];
                asked.push(masked(FIN | PING, &wanted.pong));
            }
            Step::Rest => {}
        }
    }
    let steps = async {
        let (mut id, mut asked) = (0, asked.into_iter());
        for step in steps {
            match step {
                Step::Record(count) => {
                    let events = (id..id + count).map(|id| described("alice", id, "x"));
                    host.hub.feed().append_all(events.collect()).await.unwrap();
                    id += count;
                }
                Step::Ask | Step::Ping(_) => frames.send(asked.next().unwrap()).await.unwrap(),
                Step::Rest => drop(offset_seen.wait_for(|offset| *offset == id).await.unwrap()),
            }
        }
    };
    let reading = async {
        let mut seen = Seen::default();
        while seen != wanted {
            tokio::select! {
                biased;
                Some(frame) = framed.recv() => socket.send(frame).await,
                // Not `readable`, which may be spurious: a client that then waits to read does not send.
                peeked = async { socket.tcp.peek(&mut [0]).await } => {
                    peeked.unwrap();
                    seen.read(&mut socket).await;
                    offset.send_replace(seen.offset);
                }
            }
        }
    };
    let both = async { tokio::join!(steps, reading) };
    timeout(SOON * 3, both).await.expect("everything in time");
    script.direct_writes()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn no_frame_stands_within_another(sizes in sizes(), steps in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(follow(&sizes, &steps));
    }
}

/// Wherever a frame is interrupted, its rest comes next.
#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_breaks_off_anywhere_goes_on_there() {
    let mut direct = 0;
    for size in 1..60 {
        let steps = [
            Step::Record(1),
            Step::Rest,
            Step::Record(2),
            Step::Ping(20),
            Step::Ask,
        ];
        direct += follow(&[size, 0, 4_000], &steps).await;
    }
    assert!(direct > 30, "{direct}: the feed goes past the task");
}

#[tokio::test]
async fn updates_that_wait_together_leave_in_one_write() {
    let (script, host) = scripted().await;
    let crowd = host.crowd("alice").await;
    let mut socket = directly_delivered(&host).await;
    for (first, last) in [(4, 4), (5, 14)] {
        let before = script.log().len();
        record_meanwhile(&host.hub, first..=last);
        for offset in first..=last {
            assert_eq!(socket.message().await["to"], offset);
        }
        let log = script.log();
        assert_eq!(log.len(), before + crowd.len() + 1);
        assert!(log[before..].iter().all(|write| write.is_direct));
    }
}

#[tokio::test]
async fn totals_that_wait_together_are_one() {
    let (_, host) = scripted().await;
    let _crowd = host.crowd("alice").await;
    let path = "/v1/feeds/alice/ws?mode=totals";
    let (mut socket, _) = directly_delivered_at(&host, path, "alice/alice/3600000").await;
    record_meanwhile(&host.hub, 4..=13);
    let update = socket.message().await;
    assert_eq!((&update["from"], &update["to"]), (&json!(4), &json!(13)));
    assert_eq!(update["merged"], 10);
}

#[tokio::test]
async fn midnight_and_an_edit_reach_a_client_on_direct_delivery() {
    let (clock, hand) = Clock::manual("2026-10-31T23:59:59Z".parse().unwrap());
    let host = Host::start(settings().clock(clock).build().await.unwrap()).await;
    let mut socket = directly_delivered(&host).await;
    hand.advance(SignedDuration::from_secs(1));
    let rollover = socket.message().await;
    assert_eq!(
        (&rollover["type"], &rollover["offset"]),
        (&json!("rollover"), &json!(3))
    );
    host.record("alice", 4..=4).await;
    assert_eq!(
        socket.message().await["totals"][0]["day"]["start"],
        "2026-11-01"
    );
    let change = ProfileChange {
        time_zone: Some("Asia/Kathmandu".to_owned()),
        ..ProfileChange::default()
    };
    let edited = host.hub.feed().set_profile(&account("alice"), change).await;
    edited.unwrap();
    assert_eq!(socket.message().await["reason"], "profile_changed");
    host.record("alice", 5..=5).await;
    assert_eq!(socket.message().await["to"], 5);
}

#[tokio::test]
async fn an_erasure_reaches_a_client_on_direct_delivery() {
    let (_, host) = scripted().await;
    let mut socket = directly_delivered(&host).await;
    host.hub.feed().erase(&account("alice")).await.unwrap();
    host.record("alice", 4..=4).await;
    assert_eq!(socket.message().await["code"], "revoked");
    assert_eq!(socket.frame().await.unwrap().close_code(), Some(1008));
}

/// Reads to the closing message, which has the client's true position, and to the close frame after it.
async fn end_at(socket: &mut RawWebSocket, mut position: Value, code: &str) {
    let closing = loop {
        let message = socket.message().await;
        match message["type"].as_str().unwrap() {
            "update" => position = message["position"].clone(),
            "auth_expiring" => {}
            _ => break message,
        }
    };
    assert_eq!(closing["code"], code);
    assert_eq!(closing["position"], position);
    assert_eq!(socket.frame().await.unwrap().opcode, CLOSE);
    assert_eq!(socket.frame().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expiring_client_on_direct_delivery_is_told_its_true_position() {
    let (script, host) = scripted().await;
    let token = "alice/alice/1000";
    let (mut socket, position) = directly_delivered_at(&host, "/v1/feeds/alice/ws", token).await;
    until_done(&host, end_at(&mut socket, position, "expired")).await;
    assert!(script.direct_writes() > 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_tells_clients_on_direct_delivery_their_true_position() {
    let (_, host) = scripted().await;
    let mut crowd = Vec::new();
    for _ in 0..30 {
        crowd.push(directly_delivered_at(&host, "/v1/feeds/alice/ws", "alice/alice/3600000").await);
    }
    let leaving = crowd
        .iter_mut()
        .map(|(socket, position)| end_at(socket, position.take(), "shutdown"));
    let leaving = futures_util::future::join_all(leaving);
    until_done(&host, async {
        tokio::join!(host.hub.drain(Duration::from_secs(2)), leaving)
    })
    .await;
}

/// Also while the client has not answered it yet.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_comes_behind_a_close() {
    for _ in 0..3 {
        let (_, host) = scripted().await;
        let mut socket = directly_delivered(&host).await;
        let closing = async {
            socket.message().await;
            socket.send(masked(FIN | BINARY, b"x")).await;
            let closed = socket.closed().await.expect("a close");
            assert_eq!(closed.close_code(), Some(1003));
            assert_eq!(socket.frame().await, None);
        };
        until_done(&host, closing).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_frame_stands_within_a_pong() {
    let script = Script::new(&[40, 0, 40, 0, 0]);
    let host = script.serve(settings().build().await.unwrap()).await;
    let mut socket = directly_delivered(&host).await;
    let pinging = async {
        for _ in 0..40 {
            socket.send(masked(FIN | PING, &[b'x'; 125])).await;
            let pong = loop {
                let frame = socket.frame().await.unwrap();
                if frame.opcode != TEXT {
                    break frame;
                }
            };
            assert_eq!((pong.opcode, pong.payload), (PONG, vec![b'x'; 125]));
        }
    };
    until_done(&host, pinging).await;
}

/// A client on direct delivery with a half-written frame that its task waits to finish, and the offset of that
/// frame.
async fn half_written(host: &Host, script: &Script) -> (RawWebSocket, u64) {
    let mut socket = directly_delivered(host).await;
    let mut offset = 3;
    // After one dispatched update that was accepted whole, only the next update can end direct delivery.
    while !script.log().last().unwrap().is_direct {
        offset += 1;
        host.record("alice", offset..=offset).await;
        assert_eq!(socket.message().await["to"], offset);
    }
    script.allow(100);
    offset += 1;
    host.record("alice", offset..=offset).await;
    script.until_shut().await;
    assert!(script.log().last().unwrap().is_direct);
    (socket, offset)
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_comes_after_the_frame_that_was_begun() {
    let (script, host) = scripted().await;
    let (mut socket, last) = half_written(&host, &script).await;
    host.hub.feed().erase(&account("alice")).await.unwrap();
    host.record("alice", last + 1..=last + 1).await;
    script.allow(usize::MAX);
    assert_eq!(socket.message().await["to"], last);
    assert_eq!(socket.message().await["code"], "revoked");
    assert_eq!(socket.frame().await.unwrap().close_code(), Some(1008));
    assert_eq!(socket.frame().await, None);
}

/// Pongs, answers and the answer to a close wait for the frame.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_task_writes_comes_after_the_frame_that_was_begun() {
    let (script, host) = scripted().await;
    let (mut socket, last) = half_written(&host, &script).await;
    socket.send(masked(FIN | PING, b"?")).await;
    socket.send(text(r#"{"type":"ping"}"#)).await;
    socket.send(close(1001, b"")).await;
    script.allow(usize::MAX);
    assert_eq!(socket.message().await["to"], last);
    assert_eq!(socket.frame().await.unwrap().opcode, PONG);
    assert_eq!(socket.message().await["type"], "pong");
    assert_eq!(socket.frame().await.unwrap().close_code(), Some(1001));
    assert_eq!(socket.frame().await, None);
}

/// Also if the connection would accept it before the rest.
#[tokio::test(flavor = "multi_thread")]
async fn an_update_comes_after_the_frame_that_was_begun() {
    let (script, host) = scripted().await;
    let (mut socket, last) = half_written(&host, &script).await;
    script.open_unnoticed();
    host.record("alice", last + 1..=last + 1).await;
    for offset in [last, last + 1] {
        assert_eq!(socket.message().await["to"], offset);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_of_a_frame_comes_as_soon_as_it_is_taken() {
    let (script, host) = scripted().await;
    let (mut socket, last) = half_written(&host, &script).await;
    script.allow(usize::MAX);
    assert_eq!(socket.message().await["to"], last);
    host.record("alice", last + 1..=last + 1).await;
    assert_eq!(socket.message().await["to"], last + 1);
}

const STALL: Duration = Duration::from_millis(400);

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_half_a_frame_is_cut() {
    let script = Script::willing();
    let host = script
        .serve(settings().write_stall(STALL).build().await.unwrap())
        .await;
    let (mut socket, _) = half_written(&host, &script).await;
    // The next ping is far off, so nothing else would notice.
    assert_eq!(socket.frame().await, None);
}

#[tokio::test]
async fn whoever_takes_a_little_now_and_then_is_not_cut() {
    let script = Script::willing();
    let host = script
        .serve(settings().write_stall(STALL).build().await.unwrap())
        .await;
    let (mut socket, last) = half_written(&host, &script).await;
    script.take_now_and_then(STALL / 2).await;
    assert_eq!(socket.message().await["to"], last);
}
