//! Facts about Tallycast's behaviour, through its public API.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod architecture;
mod cloudevents;
mod engine;
mod engineio_protocol;
mod failing;
mod feed;
mod feeds;
mod forge;
mod fuzz;
mod health;
mod ingest;
mod logs;
mod origins;
mod profiles;
mod serve;
mod server;
mod socketio_protocol;

#[allow(dead_code, reason = "its `main` is for people")]
#[path = "../../examples/protocol_echo.rs"]
mod protocol_echo;
