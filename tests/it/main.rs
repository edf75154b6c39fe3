//! Facts about Tallycast's behaviour, through its public API.
//!
//! Each folder holds the tests of the module of `src` that it is named after; `support` holds what they
//! share.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod api;
mod architecture;
mod bad_input;
#[cfg(feature = "cli")]
mod cli;
mod contract;
mod docs;
mod domain;
mod feed;
mod hub;
mod ledger;
mod quota;
mod serve;
mod support;
mod transport;
