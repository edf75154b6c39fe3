//! Facts about Tallycast's behaviour, through its public API.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod architecture;
mod bounds;
mod cloudevents;
mod desk;
mod failing;
mod feed;
mod feeds;
mod forge;
mod fuzz;
mod health;
mod ingest;
mod ledger_properties;
mod messages;
mod model;
mod origins;
mod profiles;
mod resume;
mod server;
mod world;
