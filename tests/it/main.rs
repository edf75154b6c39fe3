//! Facts about Tallycast's behaviour, through its public API.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod architecture;
mod engine;
mod engineio_protocol;
mod feed;
mod forge;
mod socketio_bad_input;
mod socketio_embedding;
mod socketio_feed;
mod socketio_load;
mod socketio_protocol;
mod watching;

#[allow(dead_code, reason = "its `main` is for people")]
#[path = "../../examples/protocol_echo.rs"]
mod protocol_echo;
