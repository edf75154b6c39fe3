//! What a table was measured on, and of what.

use std::{env, fs, hint::black_box, process::Command};

use jiff::Timestamp;

use crate::settings::Settings;

/// What this program is called with for [`touch`].
pub(crate) const TOUCH: &str = "touch";

/// More than a server takes while it is measured.
const TOUCHED_BYTES: usize = 512 << 20;

/// Has a process take memory and give it back. A virtual machine's host takes away what lies free for some
/// seconds, and who takes it next pays for getting it back: more for a connection than all the rest of it.
pub(crate) fn warm_memory() {
    let mut command = Command::new(env::current_exe().unwrap());
    assert!(command.arg(TOUCH).status().unwrap().success());
}

/// Takes the memory.
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
        node = said("node", &["--version"]).unwrap_or_else(|| "absent".to_owned()),
        bun = said(&bun(), &["--version"]).unwrap_or_else(|| "absent".to_owned()),
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
    let commit = said("git", &["rev-parse", "--short", "HEAD"]);
    let changes = said("git", &["status", "--porcelain"]);
    match (commit, changes.as_deref()) {
        (Some(commit), Some("")) => commit,
        (Some(commit), _) => commit + " with changes",
        (None, _) => "unknown".to_owned(),
    }
}

fn said(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
