//! What this process uses; 0 where the system does not report it.

#[path = "../../src/cli/bench/usage.rs"]
mod process;

use std::process::id;

/// Processor time of this process in seconds, with a resolution of a hundredth.
pub(crate) fn cpu_seconds() -> f64 {
    process::cpu_seconds(id()).unwrap_or(0.0)
}

/// Resident memory.
pub(crate) fn rss_kib() -> u64 {
    process::rss_kib(id()).unwrap_or(0)
}
