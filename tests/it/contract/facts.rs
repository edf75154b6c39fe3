use std::time::Duration;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tallycast::{
    Event, Feed, Hub, Memory,
    access::ConnectionsOf,
    domain::{Budget, Period, ProfileChange, Revocation},
    feed::{Clock, ManualClock},
};
use tokio::time::timeout;

use crate::support::{
    feed_hub::{ALICE, TestAuthorizer, account},
    follow_client::{FollowClient, FollowOptions, Transport, follow},
    host::Host,
    screen::Screen,
};

/// A server with a manual clock, on a ledger that outlives it.
struct ContractServer {
    host: Host,
    ledger: Memory,
    clock: Clock,
    hand: ManualClock,
}

impl ContractServer {
    async fn open() -> Self {
        let (clock, hand) = Clock::manual(Timestamp::now());
        let ledger = Memory::new();
        let host = serve(&ledger, &clock).await;
        Self {
            host,
            ledger,
            clock,
            hand,
        }
    }

    /// Stops the server and starts another on the same ledger.
    async fn restart(&mut self) {
        self.feed().close().await;
        self.host = serve(&self.ledger, &self.clock).await;
    }

    fn feed(&self) -> Feed {
        self.host.hub.feed()
    }

    async fn record(&self, ids: std::ops::RangeInclusive<u64>) {
        for id in ids {
            self.host.record("alice", id..=id).await;
        }
    }

    fn options(&self) -> FollowOptions {
        FollowOptions {
            address: self.host.address,
            account: "alice".to_owned(),
            token: ALICE.to_owned(),
            after: None,
            mode: None,
        }
    }

    fn after(&self, position: &str) -> FollowOptions {
        FollowOptions {
            after: Some(position.to_owned()),
            ..self.options()
        }
    }

    async fn head(&self) -> Value {
        let snapshot = self.feed().snapshot(&account("alice"), 100).await.unwrap();
        serde_json::from_str(snapshot.json().get()).unwrap()
    }

    async fn assert_shown(&self, screen: &Screen) {
        let head = self.head().await;
        assert_eq!(json!(screen.offset), head["offset"]);
        let shown: Vec<&Value> = screen.totals.values().collect();
        assert_eq!(json!(shown), head["totals"]);
    }
}

async fn serve(ledger: &Memory, clock: &Clock) -> Host {
    let hub = Hub::builder(ledger.clone(), TestAuthorizer).clock(clock.clone());
    Host::start(hub.build().await.unwrap()).await
}

async fn open(transport: Transport, options: &FollowOptions) -> Box<dyn FollowClient> {
    follow(transport, options).await.unwrap()
}

pub(super) async fn replays_then_follows(transport: Transport) {
    let server = ContractServer::open().await;
    server.record(1..=3).await;
    let mut client = open(transport, &server.options()).await;
    let mut screen = Screen::default();
    assert_eq!(screen.take(&mut *client).await, "snapshot initial");
    assert_eq!(screen.entries, [1, 2, 3]);
    if transport.stays_open() {
        assert_eq!(screen.take(&mut *client).await, "live");
    }
    server.record(4..=6).await;
    screen.reach(&mut *client, 6).await;
    assert_eq!(screen.entries, [1, 2, 3, 4, 5, 6]);
    server.assert_shown(&screen).await;
}

pub(super) async fn resumes_where_it_left(transport: Transport) {
    let server = ContractServer::open().await;
    server.record(1..=2).await;
    let mut screen = Screen::default();
    let mut client = open(transport, &server.options()).await;
    screen.reach(&mut *client, 2).await;
    for round in 1..=3 {
        drop(client);
        let next = 2 + round * 5;
        server.record(next - 4..=next).await;
        let position = screen.position.clone().unwrap();
        client = open(transport, &server.after(&position)).await;
        screen.reach(&mut *client, next).await;
    }
    assert_eq!(screen.entries, (1..=17).collect::<Vec<_>>());
    let snapshots = screen.types.iter().filter(|t| t.starts_with("snapshot"));
    assert_eq!(snapshots.count(), 1, "a resume needs no snapshot");
    server.assert_shown(&screen).await;
}

pub(super) async fn moves_to_another_transport_in_the_middle(transport: Transport) {
    let server = ContractServer::open().await;
    let mut screen = Screen::default();
    let mut offset = 0;
    for other in Transport::ALL {
        for next in [transport, other] {
            // The next connection resumes from a position in the middle.
            offset += 2;
            server.record(offset - 1..=offset).await;
            let options = match &screen.position {
                Some(position) => server.after(position),
                None => server.options(),
            };
            let mut client = open(next, &options).await;
            screen.take(&mut *client).await;
        }
    }
    let mut client = open(transport, &server.after(screen.position.as_ref().unwrap())).await;
    screen.reach(&mut *client, offset).await;
    assert_eq!(screen.entries, (1..=offset).collect::<Vec<_>>());
    server.assert_shown(&screen).await;
}

pub(super) async fn a_slow_reader_loses_nothing(transport: Transport) {
    const ENTRIES: u64 = 4_000;
    let server = ContractServer::open().await;
    let mut client = open(transport, &server.options()).await;
    let mut screen = Screen::default();
    screen.take(&mut *client).await;
    // More than all buffers on the way hold, while the client does not read.
    fill(&server, ENTRIES).await;
    screen.reach(&mut *client, ENTRIES).await;
    assert_eq!(screen.entries, (1..=ENTRIES).collect::<Vec<_>>());
    server.assert_shown(&screen).await;
}

async fn fill(server: &ContractServer, entries: u64) {
    let long = "x".repeat(400);
    for first in (1..=entries).step_by(200) {
        let events = (first..first + 200).map(|id| {
            Event::consumption(id.to_string(), "alice", "1", "CNY").with_description(&*long)
        });
        server.feed().append_all(events.collect()).await.unwrap();
    }
}

pub(super) async fn a_conflated_reader_ends_in_the_same_state(transport: Transport) {
    const ENTRIES: u64 = 4_000;
    let server = ContractServer::open().await;
    let budget = Budget::new("b", Period::Day, "2000".parse().unwrap(), "CNY");
    let change = ProfileChange {
        budgets: vec![budget],
        ..ProfileChange::default()
    };
    let alice = account("alice");
    server.feed().set_profile(&alice, change).await.unwrap();
    let mut options = server.options();
    options.mode = Some("totals");
    let mut client = open(transport, &options).await;
    let mut screen = Screen::default();
    screen.take(&mut *client).await;
    fill(&server, ENTRIES).await;
    server
        .feed()
        .append(Event::reversal("r", "alice", "7"))
        .await
        .unwrap();
    // With the alert after the 2,000th entry.
    screen.reach(&mut *client, ENTRIES + 2).await;
    assert!(
        screen.merged > ENTRIES / 2,
        "only {} were merged",
        screen.merged
    );
    for kept in [2_001, ENTRIES + 2] {
        assert!(screen.entries.contains(&kept), "{kept} was merged away");
    }
    server.assert_shown(&screen).await;
}

pub(super) async fn another_account_is_invisible(transport: Transport) {
    let server = ContractServer::open().await;
    server.record(1..=1).await;
    let canary = "canary-7f3a";
    let event = Event::consumption("b", "bob", "1", "CNY").with_description(canary);
    server.feed().append(event).await.unwrap();
    let bobs = server.feed().snapshot(&account("bob"), 0).await.unwrap();

    let mut options = server.options();
    options.account = "bob".to_owned();
    let refused = follow(transport, &options).await.err();
    let nobody = FollowOptions {
        account: "nobody".to_owned(),
        ..server.options()
    };
    let absent = follow(transport, &nobody).await.err();
    assert!(refused.is_some());
    assert_eq!(
        refused, absent,
        "another's account looks like an absent one"
    );

    // Another account's position is not accepted.
    let mut client = open(transport, &server.after(&bobs.position().to_string())).await;
    let mut screen = Screen::default();
    assert_eq!(screen.take(&mut *client).await, "snapshot bad_position");
    let more = Event::consumption("b-2", "bob", "1", "CNY").with_description(canary);
    server.feed().append(more).await.unwrap();
    server.record(2..=2).await;
    screen.reach(&mut *client, 2).await;
    assert!(
        screen
            .messages
            .iter()
            .all(|message| !message.contains(canary))
    );
}

pub(super) async fn an_expired_grant_closes(transport: Transport) {
    let server = ContractServer::open().await;
    let options = FollowOptions {
        token: "alice/alice/700".to_owned(),
        ..server.options()
    };
    let mut client = open(transport, &options).await;
    let mut screen = Screen::default();
    let closing = screen
        .closing(&mut *client)
        .await
        .expect("a closing message");
    assert_eq!(closing["code"], "expired");
    assert_eq!(closing["position"], json!(screen.position));
}

pub(super) async fn a_restart_keeps_order(transport: Transport) {
    let mut server = ContractServer::open().await;
    server.record(1..=3).await;
    let mut client = open(transport, &server.options()).await;
    let mut screen = Screen::default();
    screen.reach(&mut *client, 3).await;
    drop(client);
    server.restart().await;
    server.record(4..=5).await;
    let position = screen.position.clone().unwrap();
    let mut client = open(transport, &server.after(&position)).await;
    screen.reach(&mut *client, 5).await;
    assert_eq!(screen.entries, [1, 2, 3, 4, 5]);
    server.assert_shown(&screen).await;
}

pub(super) async fn every_position_gets_what_it_should(transport: Transport) {
    let server = ContractServer::open().await;
    server.record(1..=2).await;
    let first = |options: FollowOptions| async move {
        let mut client = open(transport, &options).await;
        let mut screen = Screen {
            offset: Some(2),
            ..Screen::default()
        };
        screen.take(&mut *client).await.to_owned()
    };
    let head = server.head().await["position"].as_str().unwrap().to_owned();
    if transport.stays_open() {
        assert_eq!(first(server.after(&head)).await, "live");
    }

    // Another epoch, not a position, a truncated position.
    let other = ContractServer::open().await;
    let foreign = other.head().await["position"].as_str().unwrap().to_owned();
    assert_eq!(
        first(server.after(&foreign)).await,
        "snapshot epoch_changed"
    );
    for forged in ["x".to_owned(), head[1..].to_owned()] {
        assert_eq!(first(server.after(&forged)).await, "snapshot bad_position");
    }
    // Ahead: from a server with more of the same history.
    let ahead = forge_offset(&head, 99);
    assert_eq!(first(server.after(&ahead)).await, "snapshot ahead");

    // Another day, then an edited profile.
    server.hand.advance(SignedDuration::from_hours(24));
    assert_eq!(first(server.after(&head)).await, "rollover");
    let change = ProfileChange {
        name: Some("Alice".to_owned()),
        ..ProfileChange::default()
    };
    let alice = account("alice");
    server.feed().set_profile(&alice, change).await.unwrap();
    assert_eq!(first(server.after(&head)).await, "snapshot profile_changed");

    // Too far behind.
    let head = server.head().await["position"].as_str().unwrap().to_owned();
    let events = (0..1_000).map(|n| n * 6);
    for first in events.step_by(1_000) {
        let events = (first..first + 5_001)
            .map(|id| Event::consumption(format!("far-{id}"), "alice", "1", "CNY"));
        server.feed().append_all(events.collect()).await.unwrap();
    }
    assert_eq!(first(server.after(&head)).await, "snapshot too_far");
}

/// The position with another offset: bytes 18 to 26 of it.
fn forge_offset(position: &str, offset: u64) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let mut bytes = URL_SAFE_NO_PAD.decode(position).unwrap();
    bytes[18..26].copy_from_slice(&offset.to_be_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) async fn says_the_same_bytes_as_the_others(transport: Transport) {
    let server = ContractServer::open().await;
    server
        .host
        .record_described("alice", 1, "</script><!-- é 电 🍜 \u{2028} \" \\ &amp;")
        .await;
    let begin = server.head().await["position"].as_str().unwrap().to_owned();
    server.record(2..=4).await;
    let told = async |transport: Transport, options: FollowOptions, offset: u64| {
        let mut client = open(transport, &options).await;
        let mut screen = Screen {
            offset: options.after.as_ref().map(|_| 1),
            ..Screen::default()
        };
        screen.reach(&mut *client, offset).await;
        screen.messages
    };
    let others = [Transport::SocketIo, Transport::Stream];
    for other in others {
        let (ours, theirs) = (
            told(transport, server.options(), 4).await,
            told(other, server.options(), 4).await,
        );
        assert_eq!(ours, theirs, "the snapshot differs from {other:?}");
        let (ours, theirs) = (
            told(transport, server.after(&begin), 4).await,
            told(other, server.after(&begin), 4).await,
        );
        assert_eq!(ours, theirs, "the replay differs from {other:?}");
    }
}

pub(super) async fn an_erased_account_is_closed(transport: Transport) {
    let server = ContractServer::open().await;
    server.record(1..=3).await;
    let mut client = open(transport, &server.options()).await;
    let mut screen = Screen::default();
    while screen.take(&mut *client).await != "live" {}
    server.feed().erase(&account("alice")).await.unwrap();
    let closing = screen
        .closing(&mut *client)
        .await
        .expect("a closing message");
    assert_eq!(closing["code"], "revoked");
    let position = screen.position.clone().unwrap();
    let mut client = open(transport, &server.after(&position)).await;
    assert_eq!(screen.take(&mut *client).await, "snapshot bad_position");
    assert_eq!(screen.offset, Some(0));
    assert!(screen.totals.is_empty());
}

pub(super) async fn midnight_comes_by_itself(transport: Transport) {
    let server = ContractServer::open().await;
    server.record(1..=2).await;
    let mut client = open(transport, &server.options()).await;
    let mut screen = Screen::default();
    screen.reach(&mut *client, 2).await;
    if transport.stays_open() {
        assert_eq!(screen.take(&mut *client).await, "live");
    }
    server.hand.advance(SignedDuration::from_hours(24));
    assert_eq!(screen.take(&mut *client).await, "rollover");
    server.assert_shown(&screen).await;
    let today = &screen.totals.values().next().unwrap()["day"];
    assert_eq!(today["amount"], "0");
}

pub(super) async fn a_drain_sends_closing(transport: Transport) {
    let server = ContractServer::open().await;
    server.record(1..=1).await;
    let options = server.options();
    let mut clients = join_all((0..3).map(|_| open(transport, &options))).await;
    let mut screens = [(); 3].map(|()| Screen::default());
    for (client, screen) in clients.iter_mut().zip(&mut screens) {
        while screen.take(&mut **client).await != "live" {}
    }
    let hub = server.host.hub.clone();
    let draining = tokio::spawn(async move { hub.drain(Duration::from_secs(4)).await });
    let closings = clients
        .iter_mut()
        .zip(&mut screens)
        .map(|(client, screen)| async {
            let closing = screen
                .closing(&mut **client)
                .await
                .expect("a closing message");
            assert_eq!(closing["code"], "shutdown");
            assert_eq!(closing["position"], json!(screen.position));
        });
    join_all(closings).await;
    draining.await.unwrap();
    assert!(
        follow(transport, &options).await.is_err(),
        "new connections are refused"
    );
}

/// The scorecard's limit for a revocation to reach an open connection.
const REACHED: Duration = Duration::from_secs(5);

/// A live client with a token of this text.
struct Watcher {
    client: Box<dyn FollowClient>,
    screen: Screen,
}

impl Watcher {
    async fn live(server: &ContractServer, transport: Transport, token: &str) -> Self {
        let options = server.of_token(token);
        let (mut client, mut screen) = (open(transport, &options).await, Screen::default());
        while screen.take(&mut *client).await != "live" {}
        Self { client, screen }
    }

    /// Its closing message, which comes in time and tells its position.
    async fn closing(&mut self) -> Value {
        let closing = timeout(REACHED, self.screen.closing(&mut *self.client)).await;
        let closing = closing.expect("in time").expect("a closing message");
        assert_eq!(closing["position"], json!(self.screen.position));
        closing
    }
}

impl ContractServer {
    fn of_token(&self, token: &str) -> FollowOptions {
        FollowOptions {
            token: token.to_owned(),
            ..self.options()
        }
    }

    async fn assert_refused(&self, transport: Transport, token: &str) {
        let refused = follow(transport, &self.of_token(token)).await.err();
        let unknown = follow(transport, &self.of_token("nobody's")).await.err();
        assert!(refused.is_some(), "{token}");
        assert_eq!(
            refused, unknown,
            "a revoked token looks like an unknown one"
        );
    }
}

pub(super) async fn a_revoked_token_closes(transport: Transport) {
    let server = ContractServer::open().await;
    server.record(1..=1).await;
    let (lost, kept) = ("alice/alice/3600000/phone", "alice/alice/3600000/laptop");
    let mut phone = Watcher::live(&server, transport, lost).await;
    let mut laptop = Watcher::live(&server, transport, kept).await;
    let revocation = Revocation::of_token("phone").unwrap();
    server.host.hub.revoke(revocation).await.unwrap();
    let closing = phone.closing().await;
    assert_eq!(
        (&closing["code"], &closing["retry_ms"]),
        (&json!("revoked"), &json!(1_000))
    );
    server.assert_refused(transport, lost).await;
    // Others of the subject stay, and may come.
    server.record(2..=2).await;
    laptop.screen.reach(&mut *laptop.client, 2).await;
    Watcher::live(&server, transport, kept).await;
}

pub(super) async fn a_revoked_subject_closes(transport: Transport) {
    let server = ContractServer::open().await;
    let (unknown, before) = ("alice/alice/3600000", "alice/alice/3600000/b/1700000000");
    let (after, other) = ("alice/alice/3600000/c/1700000001", "bob/alice/3600000/d/1");
    let mut ended = Vec::new();
    for token in [unknown, before] {
        ended.push(Watcher::live(&server, transport, token).await);
    }
    let mut open = Vec::new();
    for token in [after, other] {
        open.push(Watcher::live(&server, transport, token).await);
    }
    let instant = Timestamp::from_second(1_700_000_001).unwrap();
    let revocation = Revocation::of_subject("alice", instant).unwrap();
    server.host.hub.revoke(revocation).await.unwrap();
    for watcher in &mut ended {
        assert_eq!(watcher.closing().await["code"], "revoked");
    }
    for token in [unknown, before] {
        server.assert_refused(transport, token).await;
    }
    server.record(1..=1).await;
    for watcher in &mut open {
        watcher.screen.reach(&mut *watcher.client, 1).await;
    }
    Watcher::live(&server, transport, after).await;
}

pub(super) async fn a_disconnected_client_comes_back(transport: Transport) {
    let server = ContractServer::open().await;
    server.record(1..=1).await;
    let token = "alice/alice,bob/3600000";
    let mut alices = Vec::new();
    for _ in 0..2 {
        alices.push(Watcher::live(&server, transport, token).await);
    }
    let mut desk = Watcher::live(&server, transport, "desk/*/3600000").await;
    let bob = FollowOptions {
        account: "bob".to_owned(),
        ..server.of_token("bob/bob/3600000")
    };
    let mut bob = open(transport, &bob).await;
    let hub = &server.host.hub;

    let of_nobody = ConnectionsOf::Subject("nobody".to_owned());
    assert_eq!(hub.disconnect(&of_nobody).await, 0);
    let of_subject = ConnectionsOf::Subject("alice".to_owned());
    assert_eq!(hub.disconnect(&of_subject).await, 2);
    for watcher in &mut alices {
        let closing = watcher.closing().await;
        assert_eq!(closing["code"], "disconnected");
        assert_eq!(closing["retry_ms"], 1_000);
    }
    assert_eq!(
        hub.disconnect(&ConnectionsOf::Account(account("alice")))
            .await,
        1
    );
    assert_eq!(desk.closing().await["code"], "disconnected");

    // Nothing was revoked, and nothing is lost.
    server.record(2..=2).await;
    let Watcher { mut screen, .. } = alices.pop().unwrap();
    let back = FollowOptions {
        after: screen.position.clone(),
        ..server.of_token(token)
    };
    let mut back = open(transport, &back).await;
    screen.reach(&mut *back, 2).await;
    assert_eq!(screen.entries, [1, 2]);
    server.host.record("bob", 1..=1).await;
    let mut screen = Screen::default();
    screen.reach(&mut *bob, 1).await;
}
