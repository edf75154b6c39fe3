//! What this process uses.

use std::fs;

/// The processor's time that this process took, where the system tells, in hundredths of a second.
pub(crate) fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|text| text.parse::<f64>().unwrap());
    ticks.sum::<f64>() / 100.0
}

/// Resident memory, where the system tells.
pub(crate) fn rss_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let text = line.and_then(|line| line.split_whitespace().nth(1));
    text.map_or(0, |text| text.parse().unwrap())
}
