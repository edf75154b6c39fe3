use super::{generator::Measured, server_process::MeasuredUsage, workload::Workload};
use crate::cli::output::print_line;

/// Prints the figures of a benchmark.
pub(super) struct Report {
    pub(super) workload: Workload,
    pub(super) watchers: u32,
}

impl Report {
    pub(super) fn delivered(&self, measured: &Measured, usage: &MeasuredUsage) {
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
        if let Some(server) = usage.server {
            row(
                "server",
                format_args!("{:.1} CPU s per million", server.cpu_seconds / millions),
            );
        }
    }

    pub(super) fn connected(&self, usage: &MeasuredUsage) {
        let seconds = usage.elapsed.as_secs_f64();
        self.begin();
        row(
            "connected",
            format_args!("{:.0} a second", f64::from(self.watchers) / seconds),
        );
        self.memory(usage);
        if let Some(server) = usage.server {
            row(
                "server",
                format_args!(
                    "{:.3} CPU ms each",
                    server.cpu_seconds * 1e3 / f64::from(self.watchers)
                ),
            );
        }
    }

    pub(super) fn idle(&self, connected: &MeasuredUsage, idle: &MeasuredUsage) {
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
        let noun = match self.workload {
            Workload::Ingest => "accounts",
            _ => "watchers",
        };
        row("workload", format_args!("{name}, {} {noun}", self.watchers));
    }

    fn memory(&self, connected: &MeasuredUsage) {
        if let Some(server) = connected.server {
            row(
                "memory",
                format_args!("{:.1} KiB each", server.kib / f64::from(self.watchers)),
            );
        }
    }
}

fn row(name: &str, what: impl std::fmt::Display) {
    print_line(format_args!("{name:<11}{what}"));
}
