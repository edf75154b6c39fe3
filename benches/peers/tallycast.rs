//! Tallycast as a library in a process of its own, controlled in the same way as its peers: without HTTP, and with a
//! ledger in memory.

use std::{future::IntoFuture, sync::Arc};

use futures_util::poll;
use jiff::{SignedDuration, Timestamp};
use tallycast::{
    Account, Event, Grant, Hub, Jwt, Limits, Memory, Outcome, Push, PushTo, Quotas, Scope,
    access::{Accounts, Scopes, Signer},
};
use tokio::net::TcpListener;

use crate::control::{Command, Messages, account, run_commands};

const SECRET: &[u8] = b"a secret of at least thirty-two bytes";
const OVERHEAD: usize = r#"42/feed,["pushed",]"#.len();

/// How a message is sent.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Through {
    /// As an event, appended to the account and delivered by its feed.
    Feed,
    /// As a push, without the ledger.
    Push,
}

/// A token that follows every account.
pub(crate) fn token() -> String {
    let end = Timestamp::now() + SignedDuration::from_hours(12);
    let scopes = Scopes::from_iter([Scope::Watch]);
    let grant = Grant::new("bench", scopes, Accounts::all()).expiring_at(end);
    Signer::hs256(SECRET).unwrap().sign(&grant).unwrap()
}

pub(crate) async fn serve(through: Through) {
    let access = Jwt::hs256(SECRET).unwrap();
    // All clients come from this machine, at once.
    let quotas = Quotas {
        sessions_per_address_max: Limits::CONNECTIONS_MAX,
        session_rate_per_address: u32::MAX / Quotas::BURST_SECONDS,
        request_rate_per_address: u32::MAX / Quotas::BURST_SECONDS,
        subscriptions_per_address_max: Limits::CONNECTIONS_MAX,
        ..Quotas::default()
    };
    let hub = Hub::builder(Memory::new(), access).quotas(quotas);
    let hub = Arc::new(hub.build().await.unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let limits = Limits {
        connections_per_peer_max: Some(Limits::CONNECTIONS_MAX),
        ..Limits::default()
    };
    tokio::spawn(tallycast::serve(listener, hub.router(), limits).into_future());
    let mut messages = Messages::with_overhead(OVERHEAD);
    let mut appended = 0;
    run_commands(port, async |command| match (command, through) {
        (Command::Size(bytes), _) => messages.set_size(bytes),
        (Command::Push(indices), Through::Push) => {
            for index in indices {
                let to = PushTo::Account(Account::parse(&account(index)).unwrap());
                let push = Push::new(to, "pushed", &messages.update(index)).unwrap();
                let hub = Arc::clone(&hub);
                start(async move { _ = hub.push(push).await.unwrap() }).await;
            }
        }
        (Command::Push(indices), Through::Feed) => {
            let events = indices.into_iter().map(|index| {
                appended += 1;
                let id = format!("a-{appended}");
                Event::consumption(id, account(index), "0.01", "USD")
            });
            let (feed, events) = (hub.feed().clone(), events.collect());
            start(async move {
                for outcome in feed.append_all(events).await.unwrap() {
                    assert!(matches!(outcome, Outcome::Recorded(_)), "{outcome:?}");
                }
            })
            .await;
        }
    })
    .await;
}

/// Starts sending without waiting for the end, as all peers do.
async fn start(sending: impl Future<Output = ()> + Send + 'static) {
    let mut sending = Box::pin(sending);
    if poll!(&mut sending).is_pending() {
        tokio::spawn(sending);
    }
}
