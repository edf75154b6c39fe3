//! A hub in a checkout service: the handler records what customers spend, and their apps follow it.
//!
//! `cargo run --example embed -- --listen 127.0.0.1:3000 [--nest /live]`
//!
//! With `--nest /live` the hub's routes are under `/live`. Socket.IO clients then need the option
//! `path: "/live/socket.io/"`.

use std::{env, error::Error};

use axum::{Json, Router, extract::State, routing::post};
use serde::Deserialize;
use tallycast::{
    Account, AppendError, Event, Feed, Grant, Hub, Jwt, Receipt, Scope, Sqlite,
    access::{Accounts, Signer},
    jiff::{Timestamp, ToSpan},
};
use tokio::net::TcpListener;

const SECRET: &str = "at least 32 bytes that only your services know";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let ledger = Sqlite::open(option("--ledger").unwrap_or("checkout.db".to_owned()))?;
    let hub = Hub::builder(ledger, Jwt::hs256(SECRET)?).build().await?;

    let shop = Router::new()
        .route("/checkout", post(checkout))
        .with_state(hub.feed());
    let app = match option("--nest") {
        Some(prefix) => shop.nest(&prefix, hub.router()),
        None => shop.merge(hub.router()),
    };

    println!("token for alice: {}", token("alice")?);
    let listen = option("--listen").unwrap_or("127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(listen).await?;
    println!("listening on http://{}", listener.local_addr()?);
    // A server that faces the internet without a proxy should use `tallycast::serve`, which has limits.
    axum::serve(listener, app).await?;
    Ok(())
}

#[derive(Deserialize)]
struct Order {
    id: String,
    customer: String,
    total: String,
}

/// The order's id is also the event's id, so a retried checkout counts once.
async fn checkout(
    State(feed): State<Feed>,
    Json(order): Json<Order>,
) -> Result<Json<Receipt>, AppendError> {
    let event = Event::consumption(order.id, order.customer, order.total, "CNY");
    Ok(Json(feed.append(event).await?))
}

/// The token that the service gives to the app when a customer logs in.
fn token(customer: &str) -> Result<String, Box<dyn Error>> {
    let own = Accounts::only(Account::parse(customer)?);
    let now = Timestamp::now();
    let grant = Grant::new(customer, Scope::Watch, own).expiring_at(now + 1.hour());
    // So that a revocation of what the customer was issued before does not cover it.
    Ok(Signer::hs256(SECRET)?.sign(&grant.with_issued_at(now))?)
}

fn option(name: &str) -> Option<String> {
    env::args().skip_while(|argument| argument != name).nth(1)
}
