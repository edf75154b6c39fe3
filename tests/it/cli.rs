//! The binary as a person or a service manager meets it.

mod bad_input;
mod bench;
mod config;
mod demo;
mod export;
mod flash_policy;
mod page;
mod replay;
mod serve;
mod stalled;
mod token;
mod watch;

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdout, Command},
};

/// A folder with a secret, in which the binary runs.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Self { folder };
        place.write("secret.txt", "0123456789abcdef0123456789abcdef\n");
        place
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.path().join(name);
        std::fs::write(&file, text).unwrap();
        file
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tallycast"));
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

    async fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().await.unwrap()
    }

    /// What the command prints; it must succeed.
    async fn prints(&self, args: &[&str]) -> String {
        let output = self.run(args).await;
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The one line that the command complains with, and its exit code.
    async fn refusal(&self, args: &[&str]) -> (String, i32) {
        refusal_of(&self.run(args).await)
    }

    async fn token(&self, more: &[&str]) -> String {
        let args = ["token", "--jwt-secret-file", "secret.txt", "--sub", "alice"];
        self.prints(&[&args, more].concat()).await.trim().to_owned()
    }

    async fn serve(&self, more: &[&str]) -> Served {
        Served::start(self, &["127.0.0.1:0"], more).await
    }
}

fn refusal_of(output: &Output) -> (String, i32) {
    let line = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(line.lines().count(), 1, "{line}");
    assert_eq!(output.stdout, b"");
    (line.trim_end().to_owned(), output.status.code().unwrap())
}

/// A running `tallycast serve`; killed when dropped.
struct Served {
    process: Child,
    public: String,
    admin: String,
    log: Lines<BufReader<ChildStderr>>,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Served {
    async fn start(place: &Place, listen: &[&str], more: &[&str]) -> Self {
        let args = [
            "serve",
            "--jwt-secret-file",
            "secret.txt",
            "--admin-listen",
            "127.0.0.1:0",
        ];
        let args = [&args, ["--listen"].as_slice(), listen, more].concat();
        let mut process = place
            .command(args)
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
    fn address(&self) -> &str {
        self.public.split("://").nth(1).unwrap()
    }

    fn signal(&self, kind: Signal) {
        signal(&self.process, kind);
    }

    async fn exit_code(mut self) -> Option<i32> {
        self.process.wait().await.unwrap().code()
    }

    /// Waits until the log says `words`.
    async fn says(&mut self, words: &str) {
        while let Some(line) = self.log.next_line().await.unwrap() {
            if line.contains(words) {
                return;
            }
        }
        panic!("it ended without saying {words:?}");
    }

    async fn record(&self, place: &Place, id: &str, amount: &str) {
        let token = place.token(&["--scope", "record"]).await;
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

fn signal(process: &Child, kind: Signal) {
    let id = process.id().expect("it runs").try_into().unwrap();
    kill_process(Pid::from_raw(id).unwrap(), kind).unwrap();
}

async fn listening(stdout: &mut Lines<BufReader<ChildStdout>>) -> String {
    let line = stdout.next_line().await.unwrap().expect("it starts");
    line.strip_prefix("listening on ")
        .expect("nothing else is printed")
        .to_owned()
}
