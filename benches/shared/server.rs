//! The release binary, for benchmarks of the whole server.
#![allow(dead_code, reason = "not every benchmark uses all of it")]

#[path = "../../src/cli/bench/usage.rs"]
pub(crate) mod usage;

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// A running release binary with a ledger of its own.
pub(crate) struct Server {
    process: Child,
    pub(crate) url: String,
    /// Its scopes are watch and record, for all accounts.
    pub(crate) token: String,
    pub(crate) ledger: PathBuf,
}

impl Server {
    pub(crate) fn start(folder: &Path) -> Self {
        let ledger = folder.join("ledger.db");
        Self::start_on(folder, &format!("sqlite:{}", ledger.display()))
    }

    /// Starts it on this ledger. The secret is written to `folder`.
    pub(crate) fn start_on(folder: &Path, ledger: &str) -> Self {
        let secret = folder.join("secret.txt");
        std::fs::write(&secret, "a secret of at least thirty-two bytes").unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_tallycast"))
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--admin-listen",
                "127.0.0.1:0",
            ])
            .args(["--ledger", ledger])
            // All watchers come from this machine.
            .args(["--connections-per-peer-max", "100000"])
            .args(["--sessions-per-address-max", "100000"])
            .args(["--session-rate-per-address", "100000"])
            .args(["--request-rate-per-address", "1000000"])
            .args(["--request-rate-per-subject", "1000000"])
            .args(["--subscriptions-per-address-max", "100000"])
            .args(["--subscriptions-per-subject-max", "100000"])
            .args(["--jwt-secret-file", secret.to_str().unwrap()])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = lines
            .next()
            .expect("the server prints its address")
            .unwrap();
        let address = line.rsplit(' ').next().unwrap();
        let url = match address.starts_with("http") {
            true => address.trim_end_matches('/').to_owned(),
            false => format!("http://{address}"),
        };
        std::thread::spawn(move || lines.for_each(drop));
        let token = Command::new(env!("CARGO_BIN_EXE_tallycast"))
            .args([
                "token",
                "--jwt-secret-file",
                secret.to_str().unwrap(),
                "--sub",
                "bench",
            ])
            .args(["--ttl", "12h", "--scope", "watch record", "--accounts", "*"])
            .output()
            .unwrap();
        let token = String::from_utf8(token.stdout).unwrap().trim().to_owned();
        Self {
            process,
            url,
            token,
            ledger: folder.join("ledger.db"),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn rss_kib(&self) -> u64 {
        usage::rss_kib(self.id()).unwrap()
    }

    pub(crate) fn rss_mib(&self) -> f64 {
        self.rss_kib() as f64 / 1024.0
    }

    pub(crate) fn cpu_seconds(&self) -> f64 {
        usage::cpu_seconds(self.id()).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
