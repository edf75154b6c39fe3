//! What a flood costs: the server's memory and processor time, and what honest clients notice.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use super::{
    super::{Plan, findings::Findings, server::Server},
    honest::{HonestClients, Sample, Who},
};

/// A newcomer is served within this. Without optimisation, on a machine that others use too, it only tells a hang from
/// an answer.
const NEWCOMER_MAX: Duration = Duration::from_secs(if cfg!(debug_assertions) { 4 } else { 1 });

/// What a flood may cost. Newcomers and health probes always have to be served within a second.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bounds {
    /// Memory above that at rest, at most.
    pub(super) mib_max: Option<u64>,
    /// How many times longer the customer may wait than without the flood, half of the time. Long forms only.
    pub(super) p50_times_max: Option<f64>,
    /// The same, for 99 of 100 requests.
    pub(super) p99_times_max: Option<f64>,
}

/// The measurements at a moment.
#[derive(Debug, Clone, Copy)]
struct Reading {
    at: Instant,
    processor: Duration,
}

impl Reading {
    fn take(server: &Server) -> Self {
        Self {
            at: Instant::now(),
            processor: server.processor_time(),
        }
    }
}

/// The server is being measured at rest.
pub(super) struct AtRest {
    since: Reading,
}

/// The server is being measured during a flood.
pub(super) struct UnderFlood {
    rest_since: Reading,
    since: Reading,
    rest_kib: u64,
}

/// What a flood did cost.
pub(super) struct Cost {
    rest_kib: u64,
    peak_kib: u64,
    ended: Instant,
    /// How long the flood lasted.
    pub(super) lasted: Duration,
    /// Processor time of the server during the flood, all of it.
    processor: Duration,
    /// What it had used for honest clients alone, in the same time.
    processor_at_rest: Duration,
    before: Latencies,
    during: Latencies,
    newcomers: Vec<Sample>,
    /// Who had an answer before the flood ended.
    served: HashSet<Who>,
    faults: Vec<String>,
}

impl Cost {
    pub(super) fn begin(server: &Server) -> AtRest {
        AtRest {
            since: Reading::take(server),
        }
    }

    /// Processor time of the server because of the flood.
    pub(super) fn processor(&self) -> Duration {
        self.processor.saturating_sub(self.processor_at_rest)
    }

    fn mib(&self) -> f64 {
        mib(self.peak_kib.saturating_sub(self.rest_kib))
    }

    pub(super) fn report(&self, name: &str, findings: &mut Findings) {
        findings.figure(
            &format!("{name}: memory, processor"),
            format!(
                "{:.0} MiB at rest, {:.0} more; {:.2} of {:.1} s",
                mib(self.rest_kib),
                self.mib(),
                self.processor().as_secs_f64(),
                self.lasted.as_secs_f64(),
            ),
        );
        let [p50, p99] = self.times();
        findings.figure(
            &format!("{name}: a customer's p50, p99"),
            format!(
                "{}, before {}: {p50:.1} and {p99:.1} times",
                self.during, self.before
            ),
        );
        let slowest = |who| {
            let of_these = self.newcomers.iter().filter(|sample| sample.who == who);
            millis(of_these.map(|sample| sample.took).max().unwrap_or_default())
        };
        findings.figure(
            &format!("{name}: slowest newcomers"),
            format!(
                "stranger {}, producer {}, health {}",
                slowest(Who::Stranger),
                slowest(Who::Producer),
                slowest(Who::Probe)
            ),
        );
    }

    pub(super) fn check(&self, name: &str, bounds: &Bounds, plan: &Plan, findings: &mut Findings) {
        findings.faults(self.faults.iter().map(|fault| format!("{name}: {fault}")));
        for sample in &self.newcomers {
            let is_late = sample.took > NEWCOMER_MAX || self.kept_waiting(sample);
            findings.check(sample.fault.is_some() || !is_late, || {
                format!("{name}: {} waited {:.1?}", sample.who, sample.took)
            });
        }
        for who in Who::ALL {
            findings.check(self.served.contains(&who), || {
                format!("{name}: {who} was not served as long as it lasted")
            });
        }
        if let Some(max) = bounds.mib_max {
            #[expect(clippy::cast_precision_loss, reason = "megabytes are few")]
            findings.check(self.mib() <= max as f64, || {
                format!("{name}: {:.0} MiB of memory, {max} at most", self.mib())
            });
        }
        if !plan.is_long {
            return;
        }
        let [p50, p99] = self.times();
        let limits = [
            ("p50", p50, bounds.p50_times_max),
            ("p99", p99, bounds.p99_times_max),
        ];
        for (which, times, max) in limits {
            findings.check(max.is_none_or(|max| times <= max), || {
                format!("{name}: the customer's {which} is {times:.1} times as long")
            });
        }
    }

    /// Whether it waited for half of the flood, and was not served before the flood ended.
    fn kept_waiting(&self, sample: &Sample) -> bool {
        let left = self.ended.saturating_duration_since(sample.sent);
        sample.took > left && left > self.lasted / 2
    }

    /// How many times longer the customer waited than without the flood: p50 and p99.
    fn times(&self) -> [f64; 2] {
        [50, 99].map(|percent| {
            let (before, during) = (
                self.before.percentile(percent),
                self.during.percentile(percent),
            );
            during.as_secs_f64() / before.as_secs_f64().max(1e-6)
        })
    }
}

impl AtRest {
    pub(super) fn begin_flood(self, server: &Server) -> UnderFlood {
        server.forget_peak();
        UnderFlood {
            rest_since: self.since,
            since: Reading::take(server),
            rest_kib: server.resident_kib(),
        }
    }
}

impl UnderFlood {
    pub(super) async fn end(self, server: &Server, honest: HonestClients) -> Cost {
        let end = Reading::take(server);
        let peak_kib = server.peak_kib();
        let lasted = end.at - self.since.at;
        let rested = self.since.at - self.rest_since.at;
        let rest_share = lasted.as_secs_f64() / rested.as_secs_f64();
        let used_at_rest = self
            .since
            .processor
            .saturating_sub(self.rest_since.processor);
        let mut cost = Cost {
            rest_kib: self.rest_kib,
            peak_kib,
            ended: end.at,
            lasted,
            processor: end.processor.saturating_sub(self.since.processor),
            processor_at_rest: used_at_rest.mul_f64(rest_share),
            before: Latencies::default(),
            during: Latencies::default(),
            newcomers: Vec::new(),
            served: HashSet::new(),
            faults: Vec::new(),
        };
        for sample in honest.stop().await {
            let is_during = self.since.at <= sample.sent && sample.sent < end.at;
            let is_before = self.rest_since.at <= sample.sent && sample.sent < self.since.at;
            if let Some(fault) = &sample.fault {
                cost.faults.push(format!("{} {fault}", sample.who));
            }
            if is_during && sample.sent + sample.took < end.at {
                cost.served.insert(sample.who);
            }
            match (sample.who, is_during) {
                (Who::Customer, true) => cost.during.0.push(sample.took),
                (Who::Customer, false) if is_before => cost.before.0.push(sample.took),
                (Who::Customer, false) => {}
                (_, true) => cost.newcomers.push(sample),
                (_, false) => {}
            }
        }
        cost.before.0.sort();
        cost.during.0.sort();
        cost
    }
}

/// How long the customer's requests took, in ascending order.
#[derive(Debug, Default)]
struct Latencies(Vec<Duration>);

impl Latencies {
    fn percentile(&self, percent: usize) -> Duration {
        let last = self.0.len().saturating_sub(1);
        self.0
            .get(last * percent / 100)
            .copied()
            .unwrap_or_default()
    }
}

impl std::fmt::Display for Latencies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [p50, p99] = [50, 99].map(|percent| millis(self.percentile(percent)));
        write!(f, "{p50}, {p99}")
    }
}

fn millis(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1e3)
}

#[expect(clippy::cast_precision_loss, reason = "memory has few kilobytes")]
fn mib(kib: u64) -> f64 {
    kib as f64 / 1_024.0
}
