//! The accept loop against clients that are slow, silent, malformed or many.
//!
//! Tests that wait for a limit pause the clock: it jumps to the next timer as soon as nothing else is
//! left to do.

mod connection_limits;
mod lifecycle;
mod malformed_requests;
mod pipelines;
mod slow_clients;
#[cfg(feature = "tls")]
mod tls;

use std::time::Duration;

/// How long a slow client may stay.
const SLOW_CLIENT_MAX: Duration = Duration::from_secs(15);
