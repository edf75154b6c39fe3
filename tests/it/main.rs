//! Facts about Tallycast, through its public API.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod access;
mod cloudevents;
mod feeds;
mod forge;
mod health;
mod ingest;
mod origins;
mod profiles;
mod server;
