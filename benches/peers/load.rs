//! Who took processor time while something was measured.

use std::{
    fs,
    process::id,
    time::{Duration, Instant},
};

use crate::{generator::Fault, server::usage};

/// What a piece of work took.
pub(crate) struct Load {
    pub(crate) elapsed: Duration,
    pub(crate) server_seconds: f64,
    /// Processor time of neither the server nor the generator, as a share of one processor's.
    pub(crate) others: f64,
}

impl Load {
    /// Does the work, beside the server's process.
    pub(crate) fn of<T>(
        server: u32,
        work: impl FnOnce() -> Result<T, Fault>,
    ) -> Result<(T, Self), Fault> {
        let started = Instant::now();
        let before = Times::now(server)?;
        let done = work()?;
        let after = Times::now(server)?;
        let elapsed = started.elapsed();
        let server_seconds = after.server - before.server;
        let generator = after.generator - before.generator;
        let others = after.everybody - before.everybody - server_seconds - generator;
        let load = Self {
            elapsed,
            server_seconds,
            others: others.max(0.0) / elapsed.as_secs_f64(),
        };
        Ok((done, load))
    }

    /// Of the server, for a million of `count`.
    pub(crate) fn server_seconds_per_million(&self, count: u64) -> f64 {
        self.server_seconds * 1e6 / count as f64
    }
}

/// Processor time so far, in seconds.
struct Times {
    everybody: f64,
    generator: f64,
    server: f64,
}

impl Times {
    fn now(server: u32) -> Result<Self, Fault> {
        Ok(Self {
            everybody: everybody()?,
            generator: usage::cpu_seconds(id())?,
            server: usage::cpu_seconds(server)?,
        })
    }
}

/// User, nice, system and stolen time, in seconds. Not that of interrupts: those of the loopback are ours.
fn everybody() -> Result<f64, Fault> {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs::read_to_string("/proc/stat")?;
    let total = stat.lines().next().unwrap();
    let fields: Vec<f64> = total
        .split_whitespace()
        .skip(1)
        .map(|field| field.parse().unwrap())
        .collect();
    Ok((fields[0] + fields[1] + fields[2] + fields[7]) / TICKS_PER_SECOND)
}
