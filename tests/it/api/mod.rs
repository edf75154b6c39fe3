//! The HTTP API.

mod authorization;
mod caching;
mod cloudevents;
mod cors;
mod erasure;
mod events;
mod feeds;
mod fuzzed_bodies;
mod health;
mod heavy_reads;
mod history;
mod outages;
mod past;
mod profiles;
mod revocations;
mod tickets;
