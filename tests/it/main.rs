//! Facts about Tallycast's behaviour, through its public API.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod architecture;
mod cloudevents;
mod failing;
mod feed;
mod feeds;
mod forge;
mod fuzz;
mod health;
mod ingest;
mod origins;
mod profiles;
mod serve;
mod server;
