//! The real binary in a temporary folder: its commands, and a running `tallycast serve`.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use reqwest::header::HeaderMap;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdout, Command},
};

use super::permissions::set_mode;

/// A folder with a secret, in which the binary runs.
pub(crate) struct Workdir {
    folder: TempDir,
}

impl Workdir {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let workdir = Self { folder };
        let secret = workdir.write("secret.txt", "0123456789abcdef0123456789abcdef\n");
        set_mode(&secret, 0o600);
        workdir
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        self.program(Command::new(env!("CARGO_BIN_EXE_tallycast")), args)
    }

    /// The command with a umask of its own.
    #[cfg(unix)]
    pub(crate) fn command_under<S: AsRef<OsStr>>(
        &self,
        umask: &str,
        args: impl IntoIterator<Item = S>,
    ) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", "umask \"$0\" && exec \"$@\"", umask]);
        shell.arg(env!("CARGO_BIN_EXE_tallycast"));
        self.program(shell, args)
    }

    fn program<S: AsRef<OsStr>>(
        &self,
        mut command: Command,
        args: impl IntoIterator<Item = S>,
    ) -> Command {
        command
            .current_dir(self.path())
            .args(args)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"TALLYCAST_") {
                command.env_remove(name);
            }
        }
        command
    }

    pub(crate) async fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().await.unwrap()
    }

    /// What the command prints; it must succeed.
    pub(crate) async fn prints(&self, args: &[&str]) -> String {
        let output = self.run(args).await;
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The command's one line of error, and its exit code.
    pub(crate) async fn refusal(&self, args: &[&str]) -> (String, i32) {
        refusal_of(&self.run(args).await)
    }

    pub(crate) async fn token(&self, more: &[&str]) -> String {
        let args = ["token", "--jwt-secret-file", "secret.txt", "--sub", "alice"];
        self.prints(&[&args, more].concat()).await.trim().to_owned()
    }

    pub(crate) async fn serve(&self, more: &[&str]) -> ServedBinary {
        ServedBinary::start(self, &["127.0.0.1:0"], more).await
    }
}

pub(crate) fn refusal_of(output: &Output) -> (String, i32) {
    let line = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(line.lines().count(), 1, "{line}");
    assert_eq!(output.stdout, b"");
    (line.trim_end().to_owned(), output.status.code().unwrap())
}

/// A running `tallycast serve`; killed when dropped.
pub(crate) struct ServedBinary {
    pub(crate) process: Child,
    pub(crate) public: String,
    pub(crate) admin: String,
    pub(crate) log: Lines<BufReader<ChildStderr>>,
    pub(crate) stdout: Lines<BufReader<ChildStdout>>,
}

impl ServedBinary {
    pub(crate) async fn start(workdir: &Workdir, listen: &[&str], more: &[&str]) -> Self {
        let args = [
            "serve",
            "--jwt-secret-file",
            "secret.txt",
            "--admin-listen",
            "127.0.0.1:0",
        ];
        let args = [&args, ["--listen"].as_slice(), listen, more].concat();
        Self::started(workdir.command(args)).await
    }

    /// Runs a command that serves.
    pub(crate) async fn started(mut command: Command) -> Self {
        let mut process = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap()).lines();
        let log = BufReader::new(process.stderr.take().unwrap()).lines();
        Self {
            public: listening(&mut stdout).await,
            admin: listening(&mut stdout).await,
            process,
            log,
            stdout,
        }
    }

    /// `host:port` of the public listener.
    pub(crate) fn address(&self) -> &str {
        self.public.split("://").nth(1).unwrap()
    }

    pub(crate) fn signal(&self, kind: Signal) {
        signal(&self.process, kind);
    }

    /// Ends it, and returns its whole log.
    pub(crate) async fn ended(mut self) -> String {
        self.signal(Signal::TERM);
        let mut log = String::new();
        while let Some(line) = self.log.next_line().await.unwrap() {
            log.push_str(&line);
            log.push('\n');
        }
        log
    }

    pub(crate) async fn exit_code(mut self) -> Option<i32> {
        self.process.wait().await.unwrap().code()
    }

    /// Waits until the log contains `words`.
    pub(crate) async fn says(&mut self, words: &str) {
        while let Some(line) = self.log.next_line().await.unwrap() {
            if line.contains(words) {
                return;
            }
        }
        panic!("it ended without {words:?} in its log");
    }

    pub(crate) async fn record(&self, workdir: &Workdir, id: &str, amount: &str) {
        let token = workdir.token(&["--scope", "record"]).await;
        let event = serde_json::json!({
            "id": id, "account": "alice", "amount": amount, "unit": "CNY",
            "description": "Noodle bar \u{1b}[31m",
        });
        let url = format!("{}/v1/events", self.public);
        let request = reqwest::Client::new()
            .post(url)
            .bearer_auth(token)
            .json(&event);
        assert_eq!(request.send().await.unwrap().status(), 201);
    }
}

pub(crate) fn signal(process: &Child, kind: Signal) {
    let id = process.id().expect("it runs").try_into().unwrap();
    kill_process(Pid::from_raw(id).unwrap(), kind).unwrap();
}

pub(crate) async fn listening(stdout: &mut Lines<BufReader<ChildStdout>>) -> String {
    let line = stdout.next_line().await.unwrap().expect("it starts");
    line.strip_prefix("listening on ")
        .expect("nothing else is printed")
        .to_owned()
}

pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let value = headers.get(name).unwrap_or_else(|| panic!("no {name}"));
    value.to_str().unwrap()
}
