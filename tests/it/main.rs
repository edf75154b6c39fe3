//! Facts about Tallycast, through its public API.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod access;
mod forge;
mod origins;
