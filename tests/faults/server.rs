//! The real binary, in a process of its own.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use super::{
    findings::Findings,
    http::Http,
    token::{self, SECRET},
};

/// Longer than any start may take; one that hangs must not hang the run.
const START_MAX: Duration = Duration::from_secs(60);
/// How long a supervisor waits before it kills a server.
pub(crate) const STOP_MAX: Duration = Duration::from_secs(30);
/// The kernel's unit of processor time is the same on every Linux system.
const TICKS_PER_SECOND: u64 = 100;

/// The binary under test: this tree's, or another one to compare with.
pub(crate) fn binary() -> String {
    std::env::var("FAULTS_BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_tallycast").to_owned())
}

/// A folder with a ledger, a secret and the logs of the servers that used them.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        let folder = TempDir::with_prefix("tallycast-faults-").unwrap();
        fs::write(folder.path().join("secret"), SECRET).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.path("ledger.db")
    }

    /// Everything that the servers logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    pub(crate) fn panics(&self) -> Vec<String> {
        let log = self.log();
        let panics = log.lines().filter(|line| line.contains("panicked at"));
        panics
            .map(|line| format!("the server panicked: {line}"))
            .collect()
    }

    fn command(&self, wrapper: &[String]) -> Command {
        let ledger = format!("sqlite:{}", self.database().display());
        let mut words = wrapper.iter().cloned().chain([binary()]);
        let mut command = Command::new(words.next().expect("the binary at least"));
        // The default configuration, independent of this run's environment.
        let ours = |(name, _): &(OsString, _)| name.to_string_lossy().starts_with("TALLYCAST_");
        for (name, _) in std::env::vars_os().filter(ours) {
            command.env_remove(name);
        }
        command
            .args(words)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(["--admin-listen", "127.0.0.1:0", "--ledger", &ledger])
            .arg("--jwt-secret-file")
            .arg(self.path("secret"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(self.log_file())
            .current_dir(self.0.path())
            .kill_on_drop(true);
        command
    }

    fn log_file(&self) -> File {
        let mut options = OpenOptions::new();
        options
            .append(true)
            .create(true)
            .open(self.path("log"))
            .unwrap()
    }
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
    /// From the start of the process until it was ready.
    pub(crate) ready: Duration,
}

impl Server {
    pub(crate) async fn start(home: &Home) -> Self {
        Self::start_under(home, &[]).await
    }

    /// Starts it as the child of another program, such as `strace`, which must replace itself with the
    /// server: the process that is killed later is the server.
    pub(crate) async fn start_under(home: &Home, wrapper: &[String]) -> Self {
        let started = Instant::now();
        let mut child = home.command(wrapper).spawn().unwrap();
        let stdout = child.stdout.take().expect("it is piped");
        let mut lines = BufReader::new(stdout).lines();
        let addresses = timeout(START_MAX, async {
            (listening(&mut lines).await, listening(&mut lines).await)
        });
        let Ok((Some(public), Some(admin))) = addresses.await else {
            panic!("the server did not start: {}", home.log());
        };
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let mut server = Self {
            child,
            public,
            admin,
            ready: Duration::ZERO,
        };
        while server.readiness().await.ok() != Some(200) {
            assert!(
                started.elapsed() < START_MAX,
                "it was never ready: {}",
                home.log()
            );
        }
        server.ready = started.elapsed();
        server
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("it was not waited for")
    }

    /// The status of `/health/ready`.
    pub(crate) async fn readiness(&self) -> io::Result<u16> {
        let mut http = self.admin_http().await?;
        Ok(http.get("/health/ready").await?.status)
    }

    pub(crate) async fn metrics(&self) -> String {
        let Ok(mut http) = self.admin_http().await else {
            return String::new();
        };
        http.get("/metrics")
            .await
            .map(|answer| answer.text())
            .unwrap_or_default()
    }

    async fn admin_http(&self) -> io::Result<Http> {
        Http::connect(self.admin, IpAddr::V4(Ipv4Addr::LOCALHOST), "").await
    }

    /// A client that may watch `account`, over HTTP.
    pub(crate) async fn watcher(&self, account: &str) -> io::Result<Http> {
        let from = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Http::connect(self.public, from, &token::watcher(account)).await
    }

    /// `kill -9`.
    pub(crate) async fn kill(mut self) {
        self.child.start_kill().unwrap();
        self.child.wait().await.unwrap();
    }

    /// SIGTERM, after which it must exit successfully.
    pub(crate) async fn stop(self, findings: &mut Findings) {
        let status = self.terminate(STOP_MAX).await;
        findings.check(status.is_some_and(|status| status.success()), || {
            format!("it did not end well: {status:?}")
        });
    }

    /// SIGTERM; returns the exit status, or none after `patience`.
    pub(crate) async fn terminate(mut self, patience: Duration) -> Option<ExitStatus> {
        self.signal("TERM");
        timeout(patience, self.child.wait())
            .await
            .ok()
            .map(Result::unwrap)
    }

    pub(crate) fn signal(&self, signal: &str) {
        let mut kill = std::process::Command::new("kill");
        kill.args(["-s", signal, &self.pid().to_string()])
            .status()
            .unwrap();
    }

    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub(crate) fn descriptors(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.pid());
        fs::read_dir(folder).map_or(0, Iterator::count)
    }

    /// Resident memory in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most resident memory in KiB since the last [`forget_peak`](Self::forget_peak).
    pub(crate) fn peak_kib(&self) -> u64 {
        self.status("VmHWM:")
    }

    pub(crate) fn forget_peak(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.pid()), "5").unwrap();
    }

    /// Processor time of the process and of the kernel for it.
    pub(crate) fn processor_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
        // The name, in parentheses, may contain spaces.
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let fields = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND)
    }

    fn status(&self, key: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with(key));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        number.and_then(|number| number.parse().ok()).unwrap_or(0)
    }
}

/// The address of the next line `listening on …`.
async fn listening(lines: &mut Lines<BufReader<ChildStdout>>) -> Option<SocketAddr> {
    while let Ok(Some(line)) = lines.next_line().await {
        let Some((_, rest)) = line.split_once("listening on ") else {
            continue;
        };
        let address = rest.trim().rsplit('/').next().unwrap_or_default();
        let address = rest.split("://").nth(1).unwrap_or(address);
        return address
            .trim_end_matches('/')
            .split_whitespace()
            .next()?
            .parse()
            .ok();
    }
    None
}

/// Whether `program` is installed.
pub(crate) fn has_program(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|folder| Path::new(&folder).join(program).is_file())
}
