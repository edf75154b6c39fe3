//! A stock client: a small program around a third-party library, driven by lines of JSON.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

/// A timeout for what would hang if it were broken; no test waits for it otherwise.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// The client library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Library {
    /// npm `socket.io-client` 4.x.
    JavaScript4,
    /// npm `socket.io-client` 3.x.
    JavaScript3,
    /// `python-socketio`.
    Python,
    /// `rust_socketio`.
    Rust,
}

/// The transport to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    WebSocket,
    Polling,
    /// Polling first, then WebSocket.
    Upgrade,
}

impl Transport {
    fn name(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::Polling => "polling",
            Self::Upgrade => "upgrade",
        }
    }
}

/// How a client resumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resume {
    /// Its `auth` is a function, called at each connect, and contains `after`.
    Auth,
    /// Its `auth` is fixed: it sends `subscribe { after }` at each connect.
    Subscribe,
}

/// A library and its transport, with which each fact is tested.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stock {
    pub(crate) library: Library,
    pub(crate) transport: Transport,
}

impl Stock {
    /// How users of this library resume.
    pub(crate) fn resume(self) -> Resume {
        match self.library {
            Library::Rust => Resume::Subscribe,
            Library::JavaScript4 | Library::JavaScript3 | Library::Python => Resume::Auth,
        }
    }

    /// A client for `/feed` on `url` with this token.
    pub(crate) fn client(self, url: &str, token: &str) -> Spec {
        let mut auth = json!({ "token": token });
        if self.resume() == Resume::Subscribe {
            // A text, since the `auth` of some libraries holds only texts.
            auth["subscribe"] = json!("false");
        }
        Spec {
            stock: self,
            url: url.to_owned(),
            namespace: "/feed",
            path: "/socket.io/".to_owned(),
            resume: Some(self.resume()),
            auth,
        }
    }
}

/// The parameters of a client program.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    stock: Stock,
    url: String,
    namespace: &'static str,
    path: String,
    resume: Option<Resume>,
    auth: Value,
}

impl Spec {
    /// The option `path` of the client.
    pub(crate) fn path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// A namespace outside the hub.
    pub(crate) fn namespace(mut self, namespace: &'static str) -> Self {
        self.namespace = namespace;
        self.resume = None;
        self.auth.as_object_mut().unwrap().remove("subscribe");
        self
    }

    /// Fixed `auth`, whatever the library can do.
    pub(crate) fn with_fixed_auth(mut self) -> Self {
        self.resume = Some(Resume::Subscribe);
        self.auth(json!({ "subscribe": "false" }))
    }

    /// No token in `auth`.
    pub(crate) fn without_token(mut self) -> Self {
        self.auth.as_object_mut().unwrap().remove("token");
        self
    }

    /// More in `auth`.
    pub(crate) fn auth(mut self, more: Value) -> Self {
        let Value::Object(more) = more else {
            panic!("auth is an object");
        };
        self.auth.as_object_mut().unwrap().extend(more);
        self
    }

    /// Starts the client program.
    pub(crate) fn start(self) -> StockClient {
        let resume = match self.resume {
            Some(Resume::Auth) => "auth",
            Some(Resume::Subscribe) => "subscribe",
            None => "none",
        };
        let spec = json!({
            "url": self.url,
            "namespace": self.namespace,
            "path": self.path,
            "transport": self.stock.transport.name(),
            "auth": self.auth,
            "resume": resume,
        });
        let mut command = program(self.stock.library);
        command.arg(spec.to_string());
        StockClient::spawn(Some(self.stock), command)
    }
}

/// A running client program, which ends when this is dropped.
pub(crate) struct StockClient {
    /// The expected transport; none if it is not a Socket.IO client.
    stock: Option<Stock>,
    commands: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    seen: Vec<String>,
    process: Child,
}

impl StockClient {
    /// Runs a program that is not a Socket.IO client, but prints the same lines.
    pub(crate) fn follow(command: Command) -> Self {
        Self::spawn(None, command)
    }

    fn spawn(stock: Option<Stock>, mut command: Command) -> Self {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self {
            stock,
            commands: process.stdin.take().unwrap(),
            lines: BufReader::new(process.stdout.take().unwrap()).lines(),
            seen: Vec::new(),
            process,
        }
    }

    /// The next line.
    pub(crate) async fn next(&mut self) -> Value {
        let Ok(line) = timeout(SOON, self.lines.next_line()).await else {
            panic!("the client is silent after {:#?}", self.seen);
        };
        let Some(line) = line.unwrap() else {
            panic!("the client ended after {:#?}", self.seen);
        };
        let value: Value = serde_json::from_str(&line).unwrap();
        self.seen.push(line);
        let is_upgrade = value["kind"] == "upgrade";
        let upgrades = |stock: Stock| stock.transport == Transport::Upgrade;
        assert!(!is_upgrade || self.stock.is_some_and(upgrades));
        value
    }

    /// The next line of this kind; skips the lines before it.
    pub(crate) async fn await_kind(&mut self, kind: &str) -> Value {
        loop {
            let line = self.next().await;
            if line["kind"] == kind {
                return line;
            }
        }
    }

    /// The payload of the next line, which must be an event of this name.
    pub(crate) async fn expect(&mut self, event: &str) -> Value {
        let mut line = self.next_said().await;
        assert_eq!(line["event"], event, "{:#?}", self.seen);
        line["data"].take()
    }

    /// The next line, which must be the answer to that emit.
    pub(crate) async fn expect_ack(&mut self, id: &str) -> Value {
        let mut line = self.next_said().await;
        assert_eq!(
            (&line["kind"], &line["id"]),
            (&json!("ack"), &json!(id)),
            "{:#?}",
            self.seen
        );
        line["data"].take()
    }

    /// The next line from the server; a client may report its upgrade at any time.
    async fn next_said(&mut self) -> Value {
        loop {
            let line = self.next().await;
            if line["kind"] != "upgrade" {
                return line;
            }
        }
    }

    /// Waits until the client is connected over the expected transport.
    pub(crate) async fn connected(&mut self) {
        let line = self.await_kind("connect").await;
        let (Some(transport), Some(stock)) = (line["transport"].as_str(), self.stock) else {
            return;
        };
        let expected = match (stock.transport, stock.library) {
            (Transport::WebSocket, _) | (Transport::Upgrade, Library::Python) => "websocket",
            (Transport::Polling, _) => "polling",
            // It connects at once, and upgrades later.
            (Transport::Upgrade, _) => return,
        };
        assert_eq!(transport, expected);
    }

    /// Waits until the client's first `live` message.
    pub(crate) async fn live(&mut self) {
        loop {
            let line = self.await_kind("event").await;
            if line["event"] == "live" {
                return;
            }
        }
    }

    /// Lets the program clean up and end by itself; returns its remaining lines.
    pub(crate) async fn end(mut self) -> Vec<String> {
        drop(self.commands);
        let mut rest = Vec::new();
        let ended = timeout(SOON, async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                rest.push(line);
            }
            self.process.wait().await.unwrap()
        });
        assert!(ended.await.expect("the client ends").success());
        rest
    }

    /// Emits without waiting for the answer.
    pub(crate) async fn emit(&mut self, event: &str, data: &Value, id: &str) {
        let command = json!({ "emit": event, "data": data, "id": id });
        self.tell(&command).await;
    }

    /// Sends it a line.
    pub(crate) async fn tell(&mut self, command: &Value) {
        let line = format!("{command}\n");
        self.commands.write_all(line.as_bytes()).await.unwrap();
    }

    /// Emits and waits for the answer; skips the lines before it.
    pub(crate) async fn ask(&mut self, event: &str, data: &Value) -> Value {
        self.emit(event, data, "asked").await;
        let mut line = self.await_kind("ack").await;
        while line["id"] != "asked" {
            line = self.await_kind("ack").await;
        }
        line["data"].take()
    }

    /// Emits and waits for the answer; nothing may come before it.
    pub(crate) async fn ask_in_silence(&mut self, event: &str, data: &Value) -> Value {
        self.emit(event, data, "asked").await;
        self.expect_ack("asked").await
    }
}

/// The command that runs a library's client.
fn program(library: Library) -> Command {
    let js = |package: &str| {
        let mut command = node("client.js", package);
        command.arg(package);
        command
    };
    match library {
        Library::JavaScript4 => js("socket.io-client"),
        Library::JavaScript3 => js("socket.io-client-3"),
        Library::Python => run(&needs("python/.venv/bin/python"), &["python/client.py"]),
        Library::Rust => run(&needs("rust/target/debug/stock-client"), &[]),
    }
}

/// The command that runs a program of this folder.
pub(crate) fn run(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(home());
    command
}

/// The command that runs a program of `js`, which uses this package.
pub(crate) fn node(program: &str, package: &str) -> Command {
    needs(&format!("js/node_modules/{package}/package.json"));
    run(Path::new("node"), &[&format!("js/{program}")])
}

pub(crate) fn needs(path: &str) -> PathBuf {
    let path = home().join(path);
    assert!(
        path.exists(),
        "{} is missing: run `make setup-tests`",
        path.display()
    );
    path
}

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}
