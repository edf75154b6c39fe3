//! The processor time that was used during a measurement, and by which processes.

use std::{
    fs,
    process::id,
    time::{Duration, Instant},
};

use crate::{generator::BenchError, server::usage};

/// The time that a piece of work took.
pub(crate) struct Load {
    pub(crate) elapsed: Duration,
    pub(crate) server_seconds: f64,
    /// Processor time of all other processes, as a share of one processor.
    pub(crate) others: f64,
}

impl Load {
    /// Does the work, and measures it together with the server's process.
    pub(crate) fn of<T>(
        server: u32,
        work: impl FnOnce() -> Result<T, BenchError>,
    ) -> Result<(T, Self), BenchError> {
        let started = Instant::now();
        let before = Times::now(server)?;
        let done = work()?;
        let after = Times::now(server)?;
        let elapsed = started.elapsed();
        let server_seconds = after.server - before.server;
        let generator = after.generator - before.generator;
        let others = after.all - before.all - server_seconds - generator;
        let load = Self {
            elapsed,
            server_seconds,
            others: others.max(0.0) / elapsed.as_secs_f64(),
        };
        Ok((done, load))
    }

    /// The server's processor time for a million of `count`.
    pub(crate) fn server_seconds_per_million(&self, count: u64) -> f64 {
        self.server_seconds * 1e6 / count as f64
    }
}

/// Processor time so far, in seconds.
struct Times {
    all: f64,
    generator: f64,
    server: f64,
}

impl Times {
    fn now(server: u32) -> Result<Self, BenchError> {
        Ok(Self {
            all: all_processes()?,
            generator: usage::cpu_seconds(id())?,
            server: usage::cpu_seconds(server)?,
        })
    }
}

/// User, nice, system and stolen time, in seconds. Interrupts are left out: those of the loopback are ours.
fn all_processes() -> Result<f64, BenchError> {
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
