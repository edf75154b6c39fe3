//! Facts about Tallycast's behaviour, through its public API.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod architecture;
mod feed;
