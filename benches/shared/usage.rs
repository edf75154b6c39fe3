//! What this process uses, where the system tells.

#[path = "../../src/cli/bench/usage.rs"]
mod any;

use std::process::id;

/// Processor time that this process took, in hundredths of a second.
pub(crate) fn cpu_seconds() -> f64 {
    any::cpu_seconds(id()).unwrap_or(0.0)
}

/// Resident memory.
pub(crate) fn rss_kib() -> u64 {
    any::rss_kib(id()).unwrap_or(0)
}
