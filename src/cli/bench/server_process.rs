use std::time::{Duration, Instant};

use super::usage;
use crate::cli::command_error::CommandError;

/// The server's process, as it was when a measurement began. Without a process id it only measures time.
pub(super) struct ServerProcess {
    before: Option<(u32, ProcessUsage)>,
}

/// What a process has used, or used during a measurement.
#[derive(Clone, Copy)]
pub(super) struct ProcessUsage {
    pub(super) cpu_seconds: f64,
    pub(super) kib: f64,
}

/// What a measurement took.
pub(super) struct MeasuredUsage {
    pub(super) elapsed: Duration,
    pub(super) server: Option<ProcessUsage>,
}

impl ServerProcess {
    pub(super) fn new(pid: Option<u32>) -> Result<Self, CommandError> {
        let before = match pid {
            Some(pid) => Some((pid, ProcessUsage::of(pid)?)),
            None => None,
        };
        Ok(Self { before })
    }

    /// What was used since; memory is the growth.
    pub(super) fn since(self, started: Instant) -> Result<MeasuredUsage, CommandError> {
        let elapsed = started.elapsed();
        let server = match self.before {
            Some((pid, before)) => Some(ProcessUsage::of(pid)?.since(before)),
            None => None,
        };
        Ok(MeasuredUsage { elapsed, server })
    }
}

impl ProcessUsage {
    fn of(pid: u32) -> Result<Self, CommandError> {
        let read = || {
            Ok(Self {
                cpu_seconds: usage::cpu_seconds(pid)?,
                kib: usage::rss_kib(pid)? as f64,
            })
        };
        read().map_err(|error: std::io::Error| {
            CommandError::usage(format_args!(
                "--pid {pid}: {error}; name a process on this machine (Linux only)"
            ))
        })
    }

    fn since(self, before: Self) -> Self {
        Self {
            cpu_seconds: self.cpu_seconds - before.cpu_seconds,
            kib: self.kib - before.kib,
        }
    }
}
