//! Your own Socket.IO namespace: a support chat on the same connections as the feed.
//!
//! `cargo run --example own_namespace -- --listen 127.0.0.1:3000`
//!
//! A customer's app joins `/support` as well as `/feed` and emits `question`. An agent answers with
//! `POST /answers/{customer}`.

use std::{env, error::Error, sync::Arc};

use axum::{
    Router,
    extract::{Path, State},
    routing::post,
};
use serde::Deserialize;
use tallycast::{
    Account, Authorize, Grant, Hub, Jwt, Memory, Scope,
    access::{Accounts, Signer},
    jiff::{Timestamp, ToSpan},
    socketioxide::{
        SocketIo,
        extract::{AckSender, Data, SocketRef, TryData},
        handler::ConnectHandler,
    },
};
use tokio::net::TcpListener;

const SECRET: &str = "at least 32 bytes that only your services know";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let hub = Hub::builder(Memory::new(), Jwt::hs256(SECRET)?)
        .build()
        .await?;

    let tokens = Arc::new(Jwt::hs256(SECRET)?);
    let join = move |socket: SocketRef, login: TryData<Login>| join(tokens.clone(), socket, login);
    hub.socket_io().ns("/support", (async || {}).with(join));
    let support = Router::new().route("/answers/{customer}", post(answer));
    let support = support.with_state(hub.socket_io().clone());

    let alice = Accounts::only(Account::parse("alice")?);
    let grant = Grant::new("alice", Scope::Watch, alice).expiring_at(Timestamp::now() + 1.hour());
    println!("token for alice: {}", Signer::hs256(SECRET)?.sign(&grant)?);
    let listen = option("--listen").unwrap_or("127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(listen).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, support.merge(hub.router())).await?;
    Ok(())
}

#[derive(Deserialize)]
struct Login {
    token: String,
}

/// Accepts a client with a valid token; otherwise the error is the message of its `connect_error`. All
/// devices of a customer join the same room.
async fn join(
    tokens: Arc<Jwt>,
    socket: SocketRef,
    TryData(login): TryData<Login>,
) -> Result<(), &'static str> {
    let login = login.map_err(|_| "unauthorized")?;
    let grant = tokens.authorize(&login.token).await;
    let grant = grant.map_err(|_| "unauthorized")?;
    socket.join(room(grant.subject()));
    // Registered here, because the connect handler runs in its own task: the first question could arrive before it.
    socket.on("question", acknowledge);
    Ok(())
}

async fn acknowledge(Data(question): Data<String>, ack: AckSender) {
    println!("a customer asks: {question:?}");
    ack.send("an agent will answer").ok();
}

/// Sends the agent's answer to every device of the customer.
async fn answer(State(io): State<SocketIo>, Path(customer): Path<String>, text: String) {
    if let Some(support) = io.of("/support") {
        support.to(room(&customer)).emit("answer", &text).await.ok();
    }
}

fn room(customer: &str) -> String {
    format!("customer:{customer}")
}

fn option(name: &str) -> Option<String> {
    env::args().skip_while(|argument| argument != name).nth(1)
}
