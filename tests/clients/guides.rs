//! The code in `docs/clients`, compiled, and run over the real binary.

use std::{path::PathBuf, process::Stdio};

use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use crate::{
    backend::{
        Backend,
        Handout::{self, Lasting, Nonsense},
    },
    guide::{Guide, blocks},
    server::Server,
    stock::{SOON, needs},
    tcp_proxy::TcpProxy,
};

/// More entries than a snapshot holds: a client that lost its position shows 20 again.
const MANY: u64 = 25;

/// The addresses in the guides' code.
const SERVER: &str = "http://127.0.0.1:3000";
const BACKEND: &str = "https://app.example.com";

macro_rules! programs {
    ($($program:ident = $page:literal $file:literal shows $($fact:ident)*;)*) => {
        $(mod $program {
            $(#[tokio::test]
            async fn $fact() {
                super::$fact(super::Program { page: $page, file: $file }).await;
            })*
        })*
    };
}

programs! {
    bare_javascript = "javascript.md" "bare.mjs" shows
        shows_what_is_recorded
        goes_on_after_a_cut
        goes_on_after_a_killed_server
        comes_back_when_its_token_could_not_be_renewed
        renews_its_token
        is_told_that_it_is_refused;
    python_asyncio = "python.md" "follow.py" shows
        shows_what_is_recorded
        goes_on_after_a_cut
        goes_on_after_a_killed_server
        comes_back_when_its_token_could_not_be_renewed
        renews_its_token
        is_told_that_it_is_refused;
    python_sse = "python.md" "follow_sse.py" shows
        shows_what_is_recorded
        goes_on_after_a_cut
        goes_on_after_a_killed_server
        comes_back_when_its_token_has_ended;
}

/// A guide's program: all of them print the same lines.
#[derive(Clone, Copy)]
struct Program {
    page: &'static str,
    file: &'static str,
}

async fn shows_what_is_recorded(program: Program) {
    let server = Server::start().await;
    record(&server, "a", "12.50").await;
    let mut app = program.follow(&server, &server.url).await;
    app.shows("12.50 CNY in all", "1 entries").await;
    record(&server, "b", "0.05").await;
    app.shows("12.55 CNY in all", "2 entries").await;
}

async fn goes_on_after_a_cut(program: Program) {
    let mut server = Server::start().await;
    let proxy = TcpProxy::to(&server.url).await;
    server.record(MANY).await;
    let mut app = program.follow(&server, &proxy.url).await;
    app.shows("", "20 entries").await;
    proxy.cut();
    record(&server, "b", "0.05").await;
    proxy.restore();
    app.shows("", "21 entries").await;
}

async fn goes_on_after_a_killed_server(program: Program) {
    let mut server = Server::start().await;
    server.record(MANY).await;
    let mut app = program.follow(&server, &server.url.clone()).await;
    app.shows("", "20 entries").await;
    server.kill().await;
    server.restart().await;
    record(&server, "b", "0.05").await;
    app.shows("", "21 entries").await;
}

async fn comes_back_when_its_token_has_ended(program: Program) {
    comes_back(program, &[Lasting("3s"), Lasting("1h")]).await;
}

async fn comes_back_when_its_token_could_not_be_renewed(program: Program) {
    comes_back(program, &[Lasting("3s"), Nonsense, Lasting("1h")]).await;
}

async fn comes_back(program: Program, tokens: &[Handout]) {
    let server = Server::start().await;
    let mut backend = Backend::handing_out(&server, tokens).await;
    record(&server, "a", "12.50").await;
    let mut app = program.start(&server.url, &backend);
    app.shows("12.50 CNY in all", "1 entries").await;
    backend.is_at_the_last().await;
    record(&server, "b", "0.05").await;
    app.shows("12.55 CNY in all", "2 entries").await;
}

async fn renews_its_token(program: Program) {
    let server = Server::start().await;
    let backend = Backend::handing_out(&server, &[Lasting("3s"), Lasting("1h")]).await;
    let mut app = program.start(&server.url, &backend);
    app.says("the token is renewed").await;
}

async fn is_told_that_it_is_refused(program: Program) {
    let server = Server::start().await;
    let backend = Backend::handing_out(&server, &[Nonsense]).await;
    let mut app = program.start(&server.url, &backend);
    app.says("refused: unauthorized").await;
}

#[tokio::test]
async fn javascript_compiles() {
    let guide = Guide::open("javascript.md", &[]).with_helper();
    assert_eq!(guide.compile().await, Ok(()));
}

#[tokio::test]
async fn react_native_compiles() {
    let guide = Guide::open("react-native.md", &[])
        .with_block("javascript.md", "useFeed.ts")
        .with_helper()
        .with_files(&["tests/clients/js/react-native.d.ts"]);
    assert_eq!(guide.compile().await, Ok(()));
}

/// Otherwise a block could be added that no test runs.
#[test]
fn code_that_can_be_tested_names_its_file() {
    for page in ["javascript.md", "react-native.md", "python.md"] {
        for block in blocks(page) {
            let tested = block.file.is_some();
            let testable = ["ts", "tsx", "python"].contains(&block.language.as_str());
            assert!(tested || !testable, "{page}: a {} block", block.language);
        }
    }
}

impl Program {
    /// Starts it for alice, with a long-lived token.
    async fn follow(self, server: &Server, url: &str) -> Running {
        let backend = Backend::of(server).await;
        let mut running = self.start(url, &backend);
        running._backend = Some(backend);
        running
    }

    fn start(self, url: &str, backend: &Backend) -> Running {
        let guide = Guide::open(self.page, &[(SERVER, url), (BACKEND, &backend.url)]);
        let interpreter = match self.page {
            "python.md" => needs("python/.venv/bin/python"),
            _ => PathBuf::from("node"),
        };
        let mut process = Command::new(interpreter)
            .arg(self.file)
            .current_dir(guide.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Running {
            lines: BufReader::new(process.stdout.take().unwrap()).lines(),
            seen: Vec::new(),
            _process: process,
            _guide: guide,
            _backend: None,
        }
    }
}

/// A running program, which ends when this is dropped.
struct Running {
    lines: Lines<BufReader<ChildStdout>>,
    seen: Vec<String>,
    _process: Child,
    _guide: Guide,
    _backend: Option<Backend>,
}

impl Running {
    /// Waits for this line.
    async fn says(&mut self, line: &str) {
        self.shows(line, "").await;
    }

    /// Waits for a line with this start and end.
    async fn shows(&mut self, begin: &str, end: &str) {
        loop {
            let Ok(line) = timeout(SOON, self.lines.next_line()).await else {
                panic!("no {begin:?} … {end:?} after {:#?}", self.seen);
            };
            let Some(line) = line.unwrap() else {
                panic!("the program ended after {:#?}", self.seen);
            };
            let found = line.starts_with(begin) && line.ends_with(end);
            self.seen.push(line);
            if found {
                return;
            }
        }
    }
}

async fn record(server: &Server, id: &str, amount: &str) {
    let event = json!({ "id": id, "account": "alice", "amount": amount, "unit": "CNY" });
    let answer = server.record_one(&event).await;
    assert_eq!(answer["status"], "recorded", "{answer}");
}
