//! The experiments of docs/reliability.md, on the real binary, in its default configuration, without test hooks.
//!
//! `cargo test --test faults` runs the short forms, `FAULTS=long` the long ones. Names after
//! `--` choose experiments (`-- r1 r5`); `FAULTS_SEED` repeats a run's random choices, and
//! `FAULTS_BINARY` names another binary, to compare with. They share the machine, so they run one
//! after the other. `tests/faults/mutants.sh` shows that each can fail.
#![allow(clippy::unwrap_used, reason = "an experiment that cannot go on fails")]

mod client;
mod database_file;
mod failed_fsync;
mod findings;
mod flapping;
mod floods;
mod fold;
mod harness;
mod http;
mod kill_nine;
mod oracle;
mod poison;
mod power_loss;
mod producer;
mod random;
mod server;
mod shutdown;
mod socketio;
mod stalled;
mod token;
mod trace;

use std::{
    future::Future,
    pin::Pin,
    process::{Command, ExitCode},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use tokio::task::LocalSet;

use findings::Findings;
use random::Random;

/// How an experiment is run.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) is_long: bool,
    pub(crate) random: Random,
}

impl Plan {
    /// The value for the short form or for the long one.
    pub(crate) fn either<T>(&self, short: T, long: T) -> T {
        if self.is_long { long } else { short }
    }
}

type Running = Pin<Box<dyn Future<Output = Findings>>>;

struct Experiment {
    name: &'static str,
    what: &'static str,
    run: fn(Plan) -> Running,
}

const EXPERIMENTS: [Experiment; 13] = [
    Experiment {
        name: "r1",
        what: "kill -9 under load, at random instants",
        run: |plan| Box::pin(kill_nine::run(plan)),
    },
    Experiment {
        name: "r2",
        what: "power loss, by the order of system calls",
        run: |plan| Box::pin(power_loss::run(plan)),
    },
    Experiment {
        name: "r3",
        what: "fdatasync fails once",
        run: |plan| Box::pin(failed_fsync::run(plan)),
    },
    Experiment {
        name: "r5",
        what: "clients that are cut again and again",
        run: |plan| Box::pin(flapping::run(plan)),
    },
    Experiment {
        name: "r6",
        what: "clients that stop reading",
        run: |plan| Box::pin(stalled::run(plan)),
    },
    Experiment {
        name: "r11",
        what: "bodies that nobody sane would send",
        run: |plan| Box::pin(poison::run(plan)),
    },
    Experiment {
        name: "r16",
        what: "SIGTERM under load",
        run: |plan| Box::pin(shutdown::run(plan)),
    },
    Experiment {
        name: "f1",
        what: "sessions opened by a stranger",
        run: |plan| Box::pin(floods::sessions(plan)),
    },
    Experiment {
        name: "f2",
        what: "bodies that never end",
        run: |plan| Box::pin(floods::bodies(plan)),
    },
    Experiment {
        name: "f3",
        what: "pings whose answers are not read",
        run: |plan| Box::pin(floods::pings(plan)),
    },
    Experiment {
        name: "f4",
        what: "heavy reads of one token",
        run: |plan| Box::pin(floods::heavy_reads(plan)),
    },
    Experiment {
        name: "f5",
        what: "idle connections, few file descriptors",
        run: |plan| Box::pin(floods::idle_connections(plan)),
    },
    Experiment {
        name: "f6",
        what: "refused requests, at the rate of a core",
        run: |plan| Box::pin(floods::rejections(plan)),
    },
];

#[tokio::main]
async fn main() -> ExitCode {
    let chosen: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let is_known = |name: &String| EXPERIMENTS.iter().any(|known| known.name == name);
    if let Some(unknown) = chosen.iter().find(|name| !is_known(name)) {
        println!("there is no experiment {unknown}");
        return ExitCode::FAILURE;
    }
    let is_long = std::env::var("FAULTS").is_ok_and(|form| form == "long");
    let seed = seed();
    print_header(seed, is_long);
    let mut red = Vec::new();
    let mut green = 0;
    for (experiment, number) in EXPERIMENTS.iter().zip(0..) {
        if !chosen.is_empty() && !chosen.iter().any(|name| name == experiment.name) {
            continue;
        }
        let plan = Plan {
            is_long,
            random: Random::new(seed.wrapping_add(number)),
        };
        if run(experiment, plan).await {
            green += 1;
        } else {
            red.push(experiment.name);
        }
    }
    let leaks = findings::leaks();
    for leak in &leaks {
        println!("CANARY {leak}");
    }
    let is_green = red.is_empty() && leaks.is_empty();
    if is_green {
        println!("all green, the canary is silent");
    } else {
        println!("RED: {} (seed {seed})", red.join(" "));
    }
    println!("faults: {green} passed, {} failed", red.len() + leaks.len());
    if is_green {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn run(experiment: &Experiment, plan: Plan) -> bool {
    println!("{} {}", experiment.name.to_uppercase(), experiment.what);
    let started = Instant::now();
    // In a task of its own: a panic fails this experiment, not the run.
    let tasks = LocalSet::new();
    let running = tasks.spawn_local((experiment.run)(plan));
    let findings = tasks.run_until(running).await.unwrap_or_else(|error| {
        let mut findings = Findings::default();
        findings.fault(error.to_string());
        findings
    });
    findings.print();
    let verdict = if findings.is_green() { "green" } else { "RED" };
    println!("    {verdict} in {:.1} s", started.elapsed().as_secs_f64());
    findings.is_green()
}

fn seed() -> u64 {
    let given = std::env::var("FAULTS_SEED").ok();
    given.and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        now.subsec_nanos().into()
    })
}

fn print_header(seed: u64, is_long: bool) {
    let form = if is_long { "long" } else { "short" };
    let build = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    if let Ok(binary) = std::env::var("FAULTS_BINARY") {
        println!("of {binary}, and not of this tree");
    }
    println!(
        "commit {}, {build} build, {form} form, seed {seed}, SQLite {} (shell {})",
        output("git", &["describe", "--always", "--dirty"]),
        tallycast::Sqlite::library_version(),
        output("sqlite3", &["--version"])
            .split(' ')
            .next()
            .unwrap_or_default(),
    );
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    output.unwrap_or_else(|_| "missing".to_owned())
}
