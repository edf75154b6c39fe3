//! API keys instead of signed tokens: your own `Authorize`.
//!
//! `cargo run --example custom_auth -- --listen 127.0.0.1:3000`

use std::{collections::HashMap, env, error::Error};

use sha2::{Digest, Sha256};
use tallycast::{
    Account, Authorize, Event, Grant, Hub, Limits, Memory, Scope,
    access::{Accounts, Authorizing, Denied},
};
use tokio::net::TcpListener;

/// Grants by the hash of their key. Neither a leaked table nor the timing of a look-up reveals a key.
struct ApiKeys(HashMap<[u8; 32], Grant>);

impl ApiKeys {
    fn new(keys: impl IntoIterator<Item = (&'static str, Grant)>) -> Self {
        Self(
            keys.into_iter()
                .map(|(key, grant)| (hash(key), grant))
                .collect(),
        )
    }
}

impl Authorize for ApiKeys {
    fn authorize<'a>(&'a self, token: &'a str) -> Authorizing<'a> {
        // To ask a database or another service, await it here.
        Box::pin(async move {
            let grant = self.0.get(&hash(token));
            grant.cloned().ok_or(Denied::new("no such API key"))
        })
    }
}

fn hash(key: &str) -> [u8; 32] {
    Sha256::digest(key).into()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let alice = Accounts::only(Account::parse("alice")?);
    let keys = ApiKeys::new([
        ("alices-key", Grant::new("alice", Scope::Watch, alice)),
        (
            "shops-key",
            Grant::new("shop", Scope::Record, Accounts::all()),
        ),
    ]);
    let hub = Hub::builder(Memory::new(), keys).build().await?;
    hub.feed()
        .append(Event::consumption("order-1", "alice", "12.50", "CNY"))
        .await?;

    let listen = option("--listen").unwrap_or("127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(listen).await?;
    println!("token for alice: alices-key");
    println!("token for shop: shops-key");
    println!("listening on http://{}", listener.local_addr()?);
    tallycast::serve(listener, hub.router(), Limits::default()).await;
    Ok(())
}

fn option(name: &str) -> Option<String> {
    env::args().skip_while(|argument| argument != name).nth(1)
}
