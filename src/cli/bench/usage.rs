//! What a process uses, read from Linux's `/proc`.

use std::{fs, io};

/// The unit of `/proc/PID/stat`, whatever the kernel's own tick is.
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor time of a process, all threads included.
pub(crate) fn cpu_seconds(process: u32) -> io::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name, in brackets, may contain spaces.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: Option<f64> = ticks.map(|text| text.parse::<f64>().ok()).sum();
    ticks
        .map(|ticks| ticks / TICKS_PER_SECOND)
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Resident memory of a process.
pub(crate) fn rss_kib(process: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let text = line.and_then(|line| line.split_whitespace().nth(1));
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}
