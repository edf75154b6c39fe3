//! Describes the machine and the software of a measurement.

use std::{env, fs, hint::black_box, process::Command};

use jiff::Timestamp;

use crate::settings::Settings;

/// The argument that makes this program run [`touch`].
pub(crate) const TOUCH: &str = "touch";

/// More memory than a server allocates during a measurement.
const TOUCHED_BYTES: usize = 512 << 20;

/// Starts a process that allocates memory and frees it. A virtual machine's host reclaims memory that has been free for
/// some seconds, and the next process to allocate it pays for getting it back: for a connection that is more than all
/// its other costs.
pub(crate) fn warm_memory() {
    let mut command = Command::new(env::current_exe().unwrap());
    assert!(command.arg(TOUCH).status().unwrap().success());
}

/// Allocates and touches the memory.
pub(crate) fn touch() {
    black_box(vec![1_u8; TOUCHED_BYTES]);
}

/// The lines above the tables.
pub(crate) fn describe(settings: &Settings) -> String {
    let system = rustix::system::uname();
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models: Vec<&str> = cpuinfo
        .lines()
        .filter_map(|line| line.strip_prefix("model name"))
        .map(|rest| rest.trim_start_matches(['\t', ' ', ':']))
        .collect();
    let placed = match settings.processors.are_separate() {
        true => "the server on one, the generator on another",
        false => "server and generator share it: these figures mean little",
    };
    let build = match cfg!(debug_assertions) {
        true => "debug build: these figures mean nothing",
        false => "release build",
    };
    let scaled = match settings.scale {
        1.0 => String::new(),
        scale => format!(", every count times {scale}: a trial"),
    };
    format!(
        "{date}, commit {commit}, {build}{scaled}\n\n\
         {count} × {model}, {placed}; {kernel} {release}\n\n\
         Node.js {node}, Bun {bun}, SQLite {sqlite}; messages of {payload} bytes; medians of {rounds} \
         interleaved rounds (least–most)\n",
        date = Timestamp::now().strftime("%Y-%m-%d"),
        commit = commit(),
        count = models.len(),
        model = models.first().unwrap_or(&"unknown"),
        kernel = system.sysname().to_string_lossy(),
        release = system.release().to_string_lossy(),
        node = output_of("node", &["--version"]).unwrap_or_else(|| "absent".to_owned()),
        bun = output_of(&bun(), &["--version"]).unwrap_or_else(|| "absent".to_owned()),
        sqlite = rusqlite::version(),
        payload = settings.payload_bytes,
        rounds = settings.rounds,
    )
}

pub(crate) fn bun() -> String {
    let folder = env!("CARGO_MANIFEST_DIR");
    format!("{folder}/benches/peers/node_modules/@oven/bun-linux-x64/bin/bun")
}

fn commit() -> String {
    let commit = output_of("git", &["rev-parse", "--short", "HEAD"]);
    let changes = output_of("git", &["status", "--porcelain"]);
    match (commit, changes.as_deref()) {
        (Some(commit), Some("")) => commit,
        (Some(commit), _) => commit + " with changes",
        (None, _) => "unknown".to_owned(),
    }
}

fn output_of(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
