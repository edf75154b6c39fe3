//! The smallest hub: a ledger in memory, signed tokens, and one customer who buys a coffee every second.
//!
//! `cargo run --example quickstart -- --listen 127.0.0.1:3000`

use std::{env, error::Error, time::Duration};

use tallycast::{
    Account, Event, Feed, Grant, Hub, Jwt, Limits, Memory, Scope,
    access::{Accounts, Signer},
    jiff::{Timestamp, ToSpan},
};
use tokio::net::TcpListener;

const SECRET: &str = "at least 32 bytes that only your services know";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let hub = Hub::builder(Memory::new(), Jwt::hs256(SECRET)?)
        .build()
        .await?;

    let alice = Accounts::only(Account::parse("alice")?);
    let grant = Grant::new("alice", Scope::Watch, alice);
    let token = Signer::hs256(SECRET)?.sign(&grant.expiring_at(Timestamp::now() + 1.hour()))?;
    let listen = option("--listen").unwrap_or("127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(listen).await?;
    let url = format!("http://{}", listener.local_addr()?);
    println!("token for alice: {token}");
    println!("in an app:       io(\"{url}/feed\", {{ auth: {{ token }} }}).onAny(console.log)");
    println!("in a terminal:   curl -H \"Authorization: Bearer {token}\" {url}/v1/feeds/alice");
    println!("listening on {url}");

    let purchases = buy_coffee(hub.feed());
    tokio::select! {
        () = tallycast::serve(listener, hub.router(), Limits::default()) => Ok(()),
        result = purchases => result,
    }
}

/// Records a coffee every second. Each has its own id, so an event that is sent again counts once.
async fn buy_coffee(feed: Feed) -> Result<(), Box<dyn Error>> {
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    for number in 1_u64.. {
        seconds.tick().await;
        let coffee = Event::consumption(format!("coffee-{number}"), "alice", "2.80", "EUR");
        feed.append(coffee.with_category("coffee")).await?;
    }
    Ok(())
}

fn option(name: &str) -> Option<String> {
    env::args().skip_while(|argument| argument != name).nth(1)
}
