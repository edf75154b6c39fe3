use std::time::{Duration, Instant};

use super::{Workload, generator::Measured, usage};
use crate::cli::{Failure, say};

/// A server's process before a measurement, where it was named.
pub(super) struct Server {
    before: Option<(u32, Used)>,
}

#[derive(Clone, Copy)]
struct Used {
    cpu_seconds: f64,
    kib: f64,
}

impl Used {
    fn since(self, before: Self) -> Self {
        Self {
            cpu_seconds: self.cpu_seconds - before.cpu_seconds,
            kib: self.kib - before.kib,
        }
    }
}

/// What a measurement took.
pub(super) struct Taken {
    elapsed: Duration,
    server: Option<Used>,
}

impl Server {
    pub(super) fn new(process: Option<u32>) -> Result<Self, Failure> {
        let before = match process {
            Some(process) => Some((process, used(process)?)),
            None => None,
        };
        Ok(Self { before })
    }

    /// What was taken since; memory is what it grew by.
    pub(super) fn since(self, started: Instant) -> Result<Taken, Failure> {
        let elapsed = started.elapsed();
        let server = match self.before {
            Some((process, before)) => Some(used(process)?.since(before)),
            None => None,
        };
        Ok(Taken { elapsed, server })
    }
}

fn used(process: u32) -> Result<Used, Failure> {
    let read = || {
        Ok(Used {
            cpu_seconds: usage::cpu_seconds(process)?,
            kib: usage::rss_kib(process)? as f64,
        })
    };
    read().map_err(|why: std::io::Error| {
        Failure::usage(format_args!(
            "pid {process}: {why}; name a process on this machine, and a Linux one"
        ))
    })
}

/// The small table at the end.
pub(super) struct Report {
    pub(super) workload: Workload,
    pub(super) watchers: u32,
}

impl Report {
    pub(super) fn delivered(&self, measured: &Measured, taken: &Taken) {
        let seconds = measured.elapsed.as_secs_f64();
        let millions = measured.delivered as f64 / 1e6;
        self.begin();
        let delivered = measured.delivered;
        match self.workload {
            Workload::Ingest => row(
                "recorded",
                format_args!("{delivered} events in {seconds:.2} s"),
            ),
            _ => row(
                "delivered",
                format_args!(
                    "{delivered} entries in {} messages of {:.0} bytes, each checked, in {seconds:.2} s",
                    measured.messages, measured.payload_bytes
                ),
            ),
        }
        row(
            "rate",
            format_args!("{:.0} a second", delivered as f64 / seconds),
        );
        if let Some([middle, high, highest]) = measured.latencies.micros([0.5, 0.99, 0.999]) {
            let to = match self.workload {
                Workload::Broadcast => "the last watcher",
                _ => "its watcher",
            };
            row(
                "latency",
                format_args!(
                    "p50 {middle:.0} µs, p99 {high:.0} µs, p99.9 {highest:.0} µs, from POST to {to}"
                ),
            );
        }
        if let Some(server) = taken.server {
            row(
                "server",
                format_args!("{:.1} CPU s per million", server.cpu_seconds / millions),
            );
        }
    }

    pub(super) fn connected(&self, taken: &Taken) {
        let seconds = taken.elapsed.as_secs_f64();
        self.begin();
        row(
            "connected",
            format_args!("{:.0} a second", f64::from(self.watchers) / seconds),
        );
        self.memory(taken);
        if let Some(server) = taken.server {
            row(
                "server",
                format_args!(
                    "{:.3} CPU ms each",
                    server.cpu_seconds * 1e3 / f64::from(self.watchers)
                ),
            );
        }
    }

    pub(super) fn idle(&self, connected: &Taken, idle: &Taken) {
        self.begin();
        self.memory(connected);
        if let Some(server) = idle.server {
            row(
                "server",
                format_args!(
                    "{:.1} CPU ms a second",
                    server.cpu_seconds * 1e3 / idle.elapsed.as_secs_f64()
                ),
            );
        }
    }

    fn begin(&self) {
        let name = format!("{:?}", self.workload).to_lowercase();
        let watched = match self.workload {
            Workload::Ingest => "accounts",
            _ => "watchers",
        };
        row(
            "workload",
            format_args!("{name}, {} {watched}", self.watchers),
        );
    }

    fn memory(&self, connected: &Taken) {
        if let Some(server) = connected.server {
            row(
                "memory",
                format_args!("{:.1} KiB each", server.kib / f64::from(self.watchers)),
            );
        }
    }
}

fn row(name: &str, what: impl std::fmt::Display) {
    say(format_args!("{name:<11}{what}"));
}
