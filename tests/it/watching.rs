//! A hub with a feed to watch, tokens that say what they are, and a client of its namespace.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tallycast::{
    Account, Accounts, Authorize, Authorizing, Denied, Event, Grant, Hub, HubBuilder, Memory, Scope,
};
use tokio::time::timeout;

use super::engine::{Host, SOON, Ws};

/// Reads tokens of the form `subject/account,account/milliseconds`; `*` is every account.
pub(crate) struct Door;

impl Authorize for Door {
    fn authorize<'a>(&'a self, token: &'a str) -> Authorizing<'a> {
        Box::pin(async move {
            let denied = || Denied::new("not of this form");
            let mut parts = token.split('/');
            let (Some(subject), Some(accounts), Some(ttl_ms)) =
                (parts.next(), parts.next(), parts.next())
            else {
                return Err(denied());
            };
            let accounts = match accounts {
                "*" => Accounts::all(),
                list => Accounts::list(list.split(',').map(|name| Account::parse(name).unwrap())),
            };
            let ttl = Duration::from_millis(ttl_ms.parse().map_err(|_| denied())?);
            let grant = Grant::new(subject, Scope::Watch, accounts);
            Ok(grant.expiring_at(Timestamp::now() + ttl))
        })
    }
}

/// Alice's token for an hour.
pub(crate) const ALICE: &str = "alice/alice/3600000";

pub(crate) fn settings() -> HubBuilder {
    Hub::builder(Memory::new())
        .access(Door)
        .connect_timeout(Duration::from_secs(1))
}

pub(crate) async fn host() -> Host {
    Host::start(settings().build().await.unwrap()).await
}

pub(crate) fn account(name: &str) -> Account {
    Account::parse(name).unwrap()
}

/// An event of an account.
pub(crate) fn described(name: &str, id: u64, description: &str) -> Event {
    let event = json!({
        "id": format!("{name}-{id}"), "account": name, "amount": "1.50", "unit": "CNY",
        "description": (!description.is_empty()).then_some(description),
    });
    serde_json::from_value(event).unwrap()
}

impl Host {
    /// Records events `first..=last` of an account, one commit each.
    pub(crate) async fn record(&self, name: &str, ids: std::ops::RangeInclusive<u64>) {
        for id in ids {
            self.record_described(name, id, "").await;
        }
    }

    /// Records an event that is as long as its description.
    pub(crate) async fn record_described(&self, name: &str, id: u64, description: &str) {
        let event = described(name, id, description);
        self.hub.feed().append(event).await.unwrap();
    }

    /// A WebSocket that has joined the feed with this `auth`.
    pub(crate) async fn watch(&self, auth: &Value) -> Watcher {
        let mut ws = self.ws().await;
        let answer = ws.join(&format!("40/feed,{auth}")).await;
        assert!(answer.starts_with("40/feed,{\"sid\""), "{answer}");
        Watcher { ws, acks: 0 }
    }

    /// So many live clients of an account that a task carries them, and not the thread that commits.
    pub(crate) async fn crowd(&self, name: &str) -> Vec<Watcher> {
        let auth = json!({ "token": format!("{name}/{name}/3600000") });
        let mut crowd = Vec::new();
        for _ in 0..9 {
            let mut watcher = self.watch(&auth).await;
            watcher.until_live().await;
            crowd.push(watcher);
        }
        crowd
    }

    /// The code that a connection with this `auth` is refused with.
    pub(crate) async fn refusal(&self, auth: &str) -> String {
        let answer = self.ws().await.join(&format!("40/feed,{auth}")).await;
        let error = answer
            .strip_prefix("44/feed,")
            .unwrap_or_else(|| panic!("{answer}"));
        let error: Value = serde_json::from_str(error).unwrap();
        error["message"].as_str().unwrap().to_owned()
    }
}

/// Records for alice for as long as something takes.
pub(crate) async fn until_done<T>(host: &Host, work: impl Future<Output = T>) -> T {
    let flood = async {
        for id in 1_000.. {
            host.record("alice", id..=id).await;
        }
    };
    tokio::select! {
        () = flood => unreachable!("it goes on and on"),
        done = timeout(SOON * 3, work) => done.expect("done in time"),
    }
}

/// Commits that come while the server's runtime has no time.
pub(crate) fn record_meanwhile(hub: &Hub, ids: std::ops::RangeInclusive<u64>) {
    let feed = hub.feed();
    let record = async move {
        for id in ids {
            feed.append(described("alice", id, "")).await.unwrap();
        }
    };
    let runtime = || tokio::runtime::Builder::new_current_thread().build();
    std::thread::scope(|scope| {
        let recording = scope.spawn(|| runtime().unwrap().block_on(record));
        recording.join().unwrap();
    });
}

/// A client of the namespace.
pub(crate) struct Watcher {
    pub(crate) ws: Ws,
    acks: u64,
}

impl Watcher {
    /// A socket that has joined by itself.
    pub(crate) fn new(ws: Ws) -> Self {
        Self { ws, acks: 0 }
    }

    /// The next event: its name and payload, whose `type` says the same.
    pub(crate) async fn event(&mut self) -> (String, Value) {
        let packet = self.ws.packet().await;
        read_event(&packet)
    }

    /// The payload of the next event, which has this name.
    pub(crate) async fn expect(&mut self, name: &str) -> Value {
        let (got, payload) = self.event().await;
        assert_eq!(got, name, "{payload}");
        payload
    }

    /// Reads past snapshot or replay.
    pub(crate) async fn until_live(&mut self) -> Value {
        loop {
            let (name, payload) = self.event().await;
            if name == "live" {
                return payload;
            }
        }
    }

    /// Sends a request and returns its ack's number.
    pub(crate) async fn send(&mut self, name: &str, argument: &Value) -> u64 {
        self.acks += 1;
        let packet = format!("42/feed,{}{}", self.acks, json!([name, argument]));
        self.ws.send(packet).await;
        self.acks
    }

    /// Sends a request: what came before its ack, and the ack.
    pub(crate) async fn ask(&mut self, name: &str, argument: &Value) -> (Vec<Value>, Value) {
        let ack = self.send(name, argument).await;
        let mut before = Vec::new();
        loop {
            let packet = self.ws.packet().await;
            if let Some(answer) = packet.strip_prefix(&format!("43/feed,{ack}[")) {
                let answer = answer.strip_suffix(']').unwrap();
                return (before, serde_json::from_str(answer).unwrap());
            }
            before.push(read_event(&packet).1);
        }
    }
}

/// Name and payload of an event packet.
pub(crate) fn read_event(packet: &str) -> (String, Value) {
    let event = packet
        .strip_prefix("42/feed,")
        .unwrap_or_else(|| panic!("{packet}"));
    let (name, payload): (String, Value) = serde_json::from_str(event).unwrap();
    assert_eq!(payload["type"], name);
    (name, payload)
}
