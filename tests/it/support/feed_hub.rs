//! A hub with a feed in memory, and tokens that state their own grant.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tallycast::{
    Account, Authorize, Event, Grant, Hub, HubBuilder, Memory, Scope,
    access::{Accounts, Authorizing, Denied},
};
use tokio::time::timeout;

use crate::support::{SOON, feed_client::FeedClient, host::Host};

/// Reads tokens of the form `subject/account,account/milliseconds`; `*` is every account. The token's id, and when it
/// was issued in seconds since 1970, may follow.
pub(crate) struct TestAuthorizer;

impl Authorize for TestAuthorizer {
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
            let mut grant = grant.expiring_at(Timestamp::now() + ttl);
            if let Some(id) = parts.next() {
                grant = grant.with_token_id(id);
            }
            if let Some(issued_at) = parts.next() {
                let issued_at = issued_at.parse().map_err(|_| denied())?;
                grant = grant.with_issued_at(Timestamp::from_second(issued_at).unwrap());
            }
            Ok(grant)
        })
    }
}

/// Alice's token for an hour.
pub(crate) const ALICE: &str = "alice/alice/3600000";

pub(crate) fn settings() -> HubBuilder {
    Hub::builder(Memory::new(), TestAuthorizer).connect_timeout(Duration::from_secs(1))
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

    /// Records an event with this description.
    pub(crate) async fn record_described(&self, name: &str, id: u64, description: &str) {
        let event = described(name, id, description);
        self.hub.feed().append(event).await.unwrap();
    }

    /// Records more for alice than the buffers of a connection with a small receive buffer hold.
    pub(crate) async fn record_much(&self) {
        for id in 1..=200 {
            self.record_described("alice", id, &"电".repeat(500)).await;
        }
    }

    /// A WebSocket that has joined the feed with this `auth`.
    pub(crate) async fn watch(&self, auth: &Value) -> FeedClient {
        let mut ws = self.ws().await;
        let answer = ws.join(&format!("40/feed,{auth}")).await;
        assert!(answer.starts_with("40/feed,{\"sid\""), "{answer}");
        FeedClient::new(ws)
    }

    /// Live clients of one account: enough that a task dispatches to them, and not the committing thread.
    pub(crate) async fn crowd(&self, name: &str) -> Vec<FeedClient> {
        let auth = json!({ "token": format!("{name}/{name}/3600000") });
        let mut crowd = Vec::new();
        for _ in 0..9 {
            let mut watcher = self.watch(&auth).await;
            watcher.until_live().await;
            crowd.push(watcher);
        }
        crowd
    }

    /// The code of the refusal of a connection with this `auth`.
    pub(crate) async fn refusal(&self, auth: &str) -> String {
        let answer = self.ws().await.join(&format!("40/feed,{auth}")).await;
        let error = answer
            .strip_prefix("44/feed,")
            .unwrap_or_else(|| panic!("{answer}"));
        let error: Value = serde_json::from_str(error).unwrap();
        error["message"].as_str().unwrap().to_owned()
    }
}

/// Records for alice until `work` is done.
pub(crate) async fn until_done<T>(host: &Host, work: impl Future<Output = T>) -> T {
    let flood = async {
        for id in 1_000.. {
            host.record("alice", id..=id).await;
        }
    };
    tokio::select! {
        () = flood => unreachable!("it never ends"),
        done = timeout(SOON * 3, work) => done.expect("done in time"),
    }
}

/// Commits on another thread while the server's runtime is blocked.
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
