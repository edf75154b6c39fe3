//! Frames of the feed that bypass the engine: whole, in order, and only between packets.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::Value;
use socketioxide::extract::SocketRef;
use tallycast::{Hub, Push, PushTo};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use crate::support::{
    SOON,
    feed_hub::{ALICE, account, described, settings, until_done},
    host::Host,
    raw_websocket::{BINARY, CLOSE, Frame, RawWebSocket, TEXT, text},
    scripted_listener::{Script, sizes},
};

#[cfg(target_os = "linux")]
use crate::support::file_descriptors;

const PATH: &str = "/socket.io/?EIO=4&transport=websocket";
const UPDATE: &str = r#"42/feed,["update","#;
const NOTE: &str = r#"42/feed,["note","#;

/// A client that sees every frame, and answers pings.
struct Client(RawWebSocket);

impl Client {
    async fn open(host: &Host) -> Self {
        let mut client = Self(RawWebSocket::open(host.address, PATH, ALICE).await);
        assert!(client.packet().await.starts_with("0{"));
        client
    }

    /// Follows alice, past `live`.
    async fn live(host: &Host) -> Self {
        let mut client = Self::open(host).await;
        client.send("40/feed,").await;
        client.until("40/feed,").await;
        client.until(r#"42/feed,["live""#).await;
        client
    }

    async fn send(&mut self, packet: &str) {
        self.0.send(text(packet)).await;
    }

    /// The next frame that is not a ping.
    async fn frame(&mut self) -> Option<Frame> {
        loop {
            let frame = self.0.frame().await?;
            if frame.opcode != TEXT || frame.payload != b"2" {
                return Some(frame);
            }
            self.send("3").await;
        }
    }

    async fn packet(&mut self) -> String {
        let frame = self.frame().await.expect("a packet, not the end");
        assert_eq!(frame.opcode, TEXT, "{frame:?}");
        String::from_utf8(frame.payload).unwrap()
    }

    async fn until(&mut self, start: &str) -> String {
        loop {
            let packet = self.packet().await;
            if packet.starts_with(start) {
                return packet;
            }
        }
    }

    /// The next packet that is not a push.
    async fn past_pushes(&mut self) -> String {
        loop {
            let packet = self.packet().await;
            if !packet.starts_with(NOTE) {
                return packet;
            }
        }
    }

    /// The update that comes next.
    async fn update(&mut self) -> Value {
        payload(&self.packet().await)
    }
}

fn payload(packet: &str) -> Value {
    let json = packet.strip_prefix(UPDATE);
    let json = json.unwrap_or_else(|| panic!("no update: {packet}"));
    serde_json::from_str(json.strip_suffix(']').unwrap()).unwrap()
}

/// A hub that pings often, with a namespace of the host's own that all clients join.
async fn busy_hub() -> Hub {
    let settings = settings().heartbeat(Duration::from_millis(20), SOON);
    let hub = settings.build().await.unwrap();
    hub.socket_io().ns("/host", async |_: SocketRef| {});
    hub
}

/// What happens while a client follows.
#[derive(Clone, Debug)]
enum Step {
    /// A commit of this many entries.
    Record(u64),
    /// An event of the host's namespace, with two attachments.
    Attach,
    Push,
    /// A request that is acknowledged.
    Ask,
    /// Waits until the client has every entry.
    Rest,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1..20_u64).prop_map(Step::Record),
        1 => Just(Step::Attach),
        1 => Just(Step::Push),
        1 => Just(Step::Ask),
        2 => Just(Step::Rest),
    ];
    prop::collection::vec(step, 1..40)
}

/// What the client has seen: each kind of packet in order and without a gap. The client itself checks that
/// frames are whole.
#[derive(Default)]
struct Seen {
    offset: u64,
    attached: usize,
    pushed: u64,
    acks: u64,
}

impl Seen {
    async fn read(&mut self, client: &mut Client) {
        let frame = client.0.frame().await.expect("a frame, not the end");
        let packet = String::from_utf8(frame.payload).unwrap();
        if packet == "2" {
            client.send("3").await;
        } else if packet.starts_with(UPDATE) {
            let update = payload(&packet);
            assert_eq!(update["from"], self.offset + 1);
            self.offset = update["to"].as_u64().unwrap();
        } else if packet.starts_with("452-/host,") {
            for attachment in 0..2_u8 {
                let frame = client.frame().await.unwrap();
                let expected = vec![attachment; 300];
                assert_eq!((frame.opcode, frame.payload), (BINARY, expected));
            }
            self.attached += 1;
        } else if let Some(number) = packet.strip_prefix(NOTE) {
            // At most once: pushes that did not fit were dropped.
            let number: u64 = number.strip_suffix(']').unwrap().parse().unwrap();
            assert!(number > self.pushed, "{number} after {}", self.pushed);
            self.pushed = number;
        } else {
            let start = format!(r#"43/feed,{}[{{"ok":true"#, self.acks);
            assert!(packet.starts_with(&start), "{packet}");
            self.acks += 1;
        }
    }
}

async fn run_steps(
    host: &Host,
    steps: &[Step],
    asks: mpsc::Sender<()>,
    mut offset: watch::Receiver<u64>,
) {
    let (mut id, mut note) = (0, 0_u64);
    for step in steps {
        match step {
            Step::Record(count) => {
                let events = (id..id + count).map(|id| described("alice", id, "x"));
                host.hub.feed().append_all(events.collect()).await.unwrap();
                id += count;
            }
            Step::Attach => {
                let attachments = [0_u8, 1].map(|byte| rmpv::Value::Binary(vec![byte; 300]));
                let value = rmpv::Value::Array(attachments.to_vec());
                let namespace = host.hub.socket_io().of("/host").unwrap();
                // Like a push, it is dropped if it does not fit.
                let _lost = namespace.emit("file", &value).await;
            }
            Step::Push => {
                note += 1;
                let push = Push::new(PushTo::Account(account("alice")), "note", &note);
                host.hub.push(push.unwrap()).await.unwrap();
            }
            Step::Ask => asks.send(()).await.unwrap(),
            Step::Rest => drop(offset.wait_for(|offset| *offset == id).await.unwrap()),
        }
    }
}

/// Follows while these steps happen, on a connection that accepts these sizes. Returns the number of direct writes.
async fn follow(sizes: &[usize], steps: &[Step]) -> usize {
    let script = Script::new(sizes);
    let host = script.serve(busy_hub().await).await;
    let mut client = Client::live(&host).await;
    client.send("40/host,").await;
    client.until("40/host,").await;
    let count = |wanted: fn(&Step) -> u64| steps.iter().map(wanted).sum::<u64>();
    let entries = count(|step| match step {
        Step::Record(count) => *count,
        _ => 0,
    });
    let requests = count(|step| u64::from(matches!(step, Step::Ask)));
    let (asks, mut asked) = mpsc::channel(64);
    let (offset, offset_seen) = watch::channel(0);
    let mut seen = Seen::default();
    let reading = async {
        let mut sent = 0;
        while seen.offset < entries || seen.acks < requests {
            tokio::select! {
                biased;
                Some(()) = asked.recv() => {
                    client.send(&format!(r#"42/feed,{sent}["history",{{"limit":1}}]"#)).await;
                    sent += 1;
                }
                // Not `readable`, which may be spurious: a client that then waits to read does not send.
                peeked = async { client.0.tcp.peek(&mut [0]).await } => {
                    peeked.unwrap();
                    seen.read(&mut client).await;
                    offset.send_replace(seen.offset);
                }
            }
        }
    };
    let both = async { tokio::join!(run_steps(&host, steps, asks, offset_seen), reading) };
    timeout(SOON * 3, both).await.expect("everything in time");
    script.direct_writes()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn no_frame_stands_within_another_packet(sizes in sizes(), steps in steps()) {
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
        let steps = [Step::Record(1), Step::Rest, Step::Record(2), Step::Ask];
        direct += follow(&[size, 0, 4_000], &steps).await;
    }
    assert!(direct > 30, "{direct}: the feed goes past the engine");
}

/// At every byte, a frame of the feed could come in the wrong place.
#[tokio::test(flavor = "multi_thread")]
async fn a_packet_and_its_attachments_stay_together_byte_by_byte() {
    const ATTACHMENTS: usize = 100;
    let script = Script::new(&[1]);
    let host = script.serve(busy_hub().await).await;
    let mut client = Client::live(&host).await;
    client.send("40/host,").await;
    client.until("40/host,").await;
    let value = rmpv::Value::Array(vec![rmpv::Value::Binary(Vec::new()); ATTACHMENTS]);
    for id in 1..=5 {
        let namespace = host.hub.socket_io().of("/host").unwrap();
        namespace.emit("file", &value).await.unwrap();
        client.until("45100-/host,").await;
        // The update comes while the attachments are written.
        let read = async {
            for _ in 0..ATTACHMENTS {
                assert_eq!(client.0.frame().await.unwrap().opcode, BINARY);
            }
            client.until(UPDATE).await;
        };
        tokio::join!(host.record("alice", id..=id), read);
    }
    assert!(script.direct_writes() > 0);
}

#[tokio::test]
async fn a_feed_at_rest_goes_past_the_engine_in_one_write() {
    let script = Script::willing();
    let host = script.serve(settings().build().await.unwrap()).await;
    let mut client = Client::live(&host).await;
    host.record("alice", 1..=1).await;
    client.update().await;
    let before = script.log().len();
    host.record("alice", 2..=2).await;
    assert_eq!(client.update().await["to"], 2);
    let log = script.log();
    assert_eq!(log.len(), before + 1);
    assert!(log[before].is_direct);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_past_the_engine_before_connect_is_answered() {
    for _ in 0..20 {
        let script = Script::new(&[7, 0, 0]);
        let host = script.serve(settings().build().await.unwrap()).await;
        let mut client = Client::open(&host).await;
        client.send("40/feed,").await;
        let flood = host.record("alice", 1..=20);
        let read = async {
            let first = client.frame().await.unwrap();
            assert!(first.payload.starts_with(b"40/feed,"), "{first:?}");
            let mut offset = None;
            while offset != Some(20) {
                let packet = client.packet().await;
                if packet.starts_with(UPDATE) {
                    offset = payload(&packet)["to"].as_u64();
                } else if packet.contains(r#""offset":20"#) {
                    offset = Some(20);
                }
            }
        };
        tokio::join!(flood, read);
        let (before, _) = script.direct_around(r#"40/feed,{"sid":"#);
        assert!(!before);
    }
}

/// Leaving and rejoining while entries come in: direct delivery ends with the old socket. The server has one thread: of
/// two, one may still be at the end of the library's connecting when a client that was answered connects anew, and the
/// library forgets that CONNECT.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_comes_back_gets_nothing_before_the_answer() {
    let script = Script::willing();
    let host = script.serve(settings().build().await.unwrap()).await;
    let mut client = Client::live(&host).await;
    let rejoining = async {
        for round in 0..200 {
            // One connection may join and leave only so often in a second.
            if round % 40 == 0 {
                client = Client::live(&host).await;
            }
            client.send("41/feed,").await;
            client.send("40/feed,").await;
            client.until("40/feed,").await;
            let first = client.packet().await;
            assert!(first.starts_with(r#"42/feed,["snapshot""#), "{first}");
            client.until(r#"42/feed,["live""#).await;
        }
    };
    until_done(&host, rejoining).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_past_the_engine_to_a_disconnected_socket() {
    for _ in 0..20 {
        let script = Script::willing();
        let host = script.serve(settings().build().await.unwrap()).await;
        let mut client = Client::live(&host).await;
        let showing_out = async {
            client.until(UPDATE).await;
            let feed = host.hub.socket_io().of("/feed").unwrap();
            feed.disconnect().await.unwrap();
            client.until("41/feed,").await;
            // The answer to this comes after everything already on its way.
            client.send("40/nowhere,").await;
            client.until("44/nowhere,").await;
        };
        until_done(&host, showing_out).await;
        assert_eq!(script.direct_around("41/feed,"), (true, false));
    }
}

/// Also beside pushes, which look like messages of the feed, and while the socket's task is busy.
#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_begins_after_its_ack_and_ends_before_its_last() {
    let script = Script::new(&[300]);
    // Pings still fit among this many pushes.
    let host = script.serve(busy_hub().await).await;
    let mut client = Client::live(&host).await;
    let asking = async {
        for n in (0..180).step_by(3) {
            client
                .send(&format!(r#"42/feed,{n}["unsubscribe",{{}}]"#))
                .await;
            client
                .send(&format!(r#"42/feed,{}["history",{{"limit":1}}]"#, n + 1))
                .await;
            client.until(&format!("43/feed,{n}[")).await;
            client
                .send(&format!(r#"42/feed,{}["subscribe",{{}}]"#, n + 2))
                .await;
            for n in [n + 1, n + 2] {
                let ack = client.past_pushes().await;
                assert!(ack.starts_with(&format!("43/feed,{n}[")), "{ack}");
            }
            let first = client.past_pushes().await;
            assert!(first.starts_with(r#"42/feed,["snapshot""#), "{first}");
        }
    };
    let pushing = async {
        loop {
            let push = Push::new(PushTo::All, "note", &"x".repeat(2_000)).unwrap();
            host.hub.push(push).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let asking = async {
        tokio::select! { () = asking => {}, () = pushing => {} }
    };
    until_done(&host, asking).await;
    assert!(script.direct_writes() > 0);
}

/// Records until a direct frame is half written; returns its offset.
async fn half_written(host: &Host, script: &Script, client: &mut Client) -> u64 {
    let mut offset = 0;
    // After one direct frame that was accepted whole, the next write is the next update.
    while script.direct_writes() == 0 || !script.log().last().unwrap().is_direct {
        offset += 1;
        host.record("alice", offset..=offset).await;
        assert_eq!(client.update().await["to"], offset);
    }
    script.allow(100);
    offset += 1;
    host.record("alice", offset..=offset).await;
    script.until_shut().await;
    assert!(script.log().last().unwrap().is_direct);
    offset
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_comes_after_the_frame_that_was_begun() {
    let script = Script::willing();
    let host = script.serve(settings().build().await.unwrap()).await;
    let mut client = Client::live(&host).await;
    let last = half_written(&host, &script, &mut client).await;
    host.hub.feed().erase(&account("alice")).await.unwrap();
    // Nothing more comes after the close was announced.
    host.record("alice", last + 1..=last + 1).await;
    script.allow(usize::MAX);
    assert_eq!(client.update().await["to"], last);
    assert!(client.packet().await.starts_with(r#"42/feed,["closing""#));
    let close = client.frame().await.unwrap();
    assert_eq!((close.opcode, close.close_code()), (CLOSE, Some(1008)));
    assert_eq!(client.frame().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_half_a_frame_is_cut() {
    const STALL: Duration = Duration::from_millis(300);
    let script = Script::willing();
    let hub = settings().write_stall(STALL).build().await.unwrap();
    let host = script.serve(hub).await;
    let mut client = Client::live(&host).await;
    half_written(&host, &script, &mut client).await;
    // The next ping is far off, so nothing else would notice.
    timeout(STALL * 10, host.until_empty()).await.expect("cut");
    let end = timeout(SOON, client.0.end()).await;
    end.expect("its descriptor is closed").unwrap_or_default();
}

/// A task of its own writes it: nothing else is written for a while.
#[tokio::test(flavor = "multi_thread")]
async fn the_rest_of_a_frame_comes_as_soon_as_it_is_taken() {
    let script = Script::willing();
    let host = script.serve(settings().build().await.unwrap()).await;
    let mut client = Client::live(&host).await;
    let last = half_written(&host, &script, &mut client).await;
    script.allow(usize::MAX);
    assert_eq!(client.update().await["to"], last);
}

#[tokio::test]
async fn whoever_takes_a_little_now_and_then_is_not_cut() {
    const STALL: Duration = Duration::from_millis(400);
    let script = Script::willing();
    let hub = settings().write_stall(STALL).build().await.unwrap();
    let host = script.serve(hub).await;
    let mut client = Client::live(&host).await;
    let last = half_written(&host, &script, &mut client).await;
    script.take_now_and_then(STALL / 2).await;
    assert_eq!(client.update().await["to"], last);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_is_complete_before_anything_goes_past_the_engine() {
    for _ in 0..10 {
        let script = Script::willing();
        let host = script.serve(settings().build().await.unwrap()).await;
        let session = host.poll().await;
        session
            .send(&format!(r#"40/feed,{{"token":"{ALICE}"}}"#))
            .await;
        let mut polled = String::new();
        while !polled.contains(r#"42/feed,["live""#) {
            polled = session.receive().await;
        }
        let upgrading = async {
            let path = format!("/socket.io/?EIO=4&transport=websocket&sid={}", session.sid);
            let mut client = Client(RawWebSocket::open(host.address, &path, ALICE).await);
            let offset = last_offset(&session.receive().await);
            client.send("2probe").await;
            assert_eq!(client.packet().await, "3probe");
            client.send("5").await;
            // Its answer identifies the engine's writer.
            client.send(r#"42/feed,7["history",{"limit":1}]"#).await;
            let mut next = payload(&client.until(UPDATE).await);
            if let Some(offset) = offset {
                assert_eq!(next["from"], offset + 1);
            }
            while script.direct_writes() == 0 {
                let to = next["to"].as_u64().unwrap();
                next = payload(&client.until(UPDATE).await);
                assert_eq!(next["from"], to + 1);
            }
        };
        until_done(&host, upgrading).await;
        assert!(!script.direct_around("3probe").0);
    }
}

/// The offset after a polling body's last update.
fn last_offset(body: &str) -> Option<u64> {
    let updates = body.split(crate::support::engineio_client::SEPARATOR);
    let updates = updates.filter(|packet| packet.starts_with(UPDATE));
    updates
        .last()
        .map(|packet| payload(packet)["to"].as_u64().unwrap())
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn descriptors_are_back_after_direct_frames() {
    let script = Script::willing();
    let host = script.serve(settings().build().await.unwrap()).await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(Client::live(&host).await);
    }
    host.record("alice", 1..=3).await;
    for client in &mut clients {
        while client.update().await["to"] != 3 {}
    }
    let connections = file_descriptors::connections(host.address);
    assert_eq!(connections.len(), clients.len());
    drop(clients);
    file_descriptors::until_closed(connections).await;
    host.until_empty().await;
    let log = script.log().len();
    host.record("alice", 4..=4).await;
    assert_eq!(script.log().len(), log, "nobody is written to any more");
}

/// Long before the write-stall timeout.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_descriptor_is_back_from_who_takes_nothing_and_goes() {
    let hub = settings().write_stall(SOON * 6).build().await.unwrap();
    let host = Host::start(hub).await;
    let mut client = Client(RawWebSocket::open_narrow(host.address, PATH, ALICE).await);
    client.send("40/feed,").await;
    client.until(r#"42/feed,["live""#).await;
    // More than the buffers of a connection with a small receive buffer hold.
    for id in 1..=200 {
        host.record_described("alice", id, &"电".repeat(500)).await;
    }
    let connections = file_descriptors::connections(host.address);
    assert_eq!(connections.len(), 1);
    drop(client);
    file_descriptors::until_closed(connections).await;
}
