//! The real binary, with a ledger on disk.

use std::{fs::File, path::PathBuf, process::Stdio};

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
    time::timeout,
};

use crate::{moved_clock::MovedClock, stock::SOON};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_tallycast");
/// The arguments of `tallycast token` for a token that records, and for one that edits and erases.
const PRODUCER: &[&str] = &["--sub", "shop", "--scope", "record", "--accounts", "*"];
const ADMIN: &[&str] = &["--sub", "office", "--scope", "admin", "--accounts", "*"];

/// In the server's folder, if it has TLS.
const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";

/// `tallycast serve`, which can be killed and started again.
pub(crate) struct Server {
    /// Its address, which a restart keeps.
    pub(crate) url: String,
    folder: TempDir,
    process: Child,
    http: reqwest::Client,
    /// The producer's token.
    producer: String,
    recorded: u64,
    clock: Option<MovedClock>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_in(folder(), reqwest::Client::new(), None).await
    }

    /// A server whose clock starts at `now`.
    pub(crate) async fn start_at(now: &str) -> Self {
        let clock = Some(MovedClock::at(now));
        Self::start_in(folder(), reqwest::Client::new(), clock).await
    }

    /// A server over `https`, with a certificate of its own.
    pub(crate) async fn start_with_tls() -> Self {
        let folder = folder();
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let pem = made.cert.pem();
        std::fs::write(folder.path().join(CERTIFICATE), &pem).unwrap();
        let key = made.signing_key.serialize_pem();
        std::fs::write(folder.path().join(KEY), key).unwrap();
        let trusted = reqwest::Certificate::from_pem(pem.as_bytes()).unwrap();
        let http = reqwest::Client::builder().tls_certs_only([trusted]);
        Self::start_in(folder, http.build().unwrap(), None).await
    }

    async fn start_in(folder: TempDir, http: reqwest::Client, clock: Option<MovedClock>) -> Self {
        let (process, url) = serve(&folder, "127.0.0.1:0", clock.as_ref()).await;
        let mut server = Self {
            url,
            folder,
            process,
            http,
            producer: String::new(),
            recorded: 0,
            clock,
        };
        server.producer = server.mint(PRODUCER).await;
        server
    }

    /// The certificate to trust, if it has TLS.
    pub(crate) fn certificate(&self) -> Option<PathBuf> {
        Some(self.folder.path().join(CERTIFICATE)).filter(|file| file.exists())
    }

    /// Moves the clock that it was started with.
    pub(crate) fn set_clock(&self, now: &str) {
        self.clock.as_ref().unwrap().set(now);
    }

    /// `kill -9`.
    pub(crate) async fn kill(&mut self) {
        self.process.kill().await.unwrap();
    }

    /// Restarts it on the same ledger and the same port.
    pub(crate) async fn restart(&mut self) {
        let (_, address) = self.url.split_once("://").unwrap();
        let address = address.to_owned();
        (self.process, _) = serve(&self.folder, &address, self.clock.as_ref()).await;
    }

    /// A token of `tallycast token`, to watch the account of its subject.
    pub(crate) async fn token(&self, subject: &str) -> String {
        self.mint(&["--sub", subject]).await
    }

    /// Records `count` more events of alice in one request; their ids continue the previous ones.
    pub(crate) async fn record(&mut self, count: u64) {
        let first = self.recorded + 1;
        self.recorded += count;
        let events: Vec<_> = (first..=self.recorded).map(event).collect();
        self.post(&events).await;
    }

    /// Records one more event of alice, with more fields.
    pub(crate) async fn record_with(&mut self, fields: Value) {
        self.recorded += 1;
        let mut event = event(self.recorded);
        let Value::Object(fields) = fields else {
            panic!("fields are an object");
        };
        event.as_object_mut().unwrap().extend(fields);
        self.post(&[event]).await;
    }

    async fn post(&self, events: &[Value]) {
        let answer = self.record_all(events).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
        let answer: Value = answer.json().await.unwrap();
        let results = answer["results"].as_array().unwrap();
        assert!(
            results.iter().all(|result| result["status"] == "recorded"),
            "{answer}"
        );
    }

    /// The ids of all recorded events, in order.
    pub(crate) fn recorded_ids(&self) -> Vec<String> {
        (1..=self.recorded).map(id).collect()
    }

    /// Records one event of alice.
    pub(crate) async fn record_one(&self, event: &Value) -> Value {
        json_of(self.record_all(std::slice::from_ref(event))).await["results"][0].take()
    }

    /// Sends one event of alice on a connection of its own, and reads no answer.
    pub(crate) async fn record_unheard(&self, event: &Value) -> TcpStream {
        let token = &self.producer;
        let (host, body) = (self.url.trim_start_matches("http://"), event.to_string());
        let request = format!(
            "POST /v1/events HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut connection = TcpStream::connect(host).await.unwrap();
        connection.write_all(request.as_bytes()).await.unwrap();
        connection
    }

    /// Replaces alice's profile.
    pub(crate) async fn edit(&self, profile: &Value) {
        let request = self.request(Method::PUT, "/v1/accounts/alice", ADMIN).await;
        json_of(request.json(profile)).await;
    }

    /// Erases alice's account.
    pub(crate) async fn erase(&self) {
        let request = self
            .request(Method::DELETE, "/v1/accounts/alice", ADMIN)
            .await;
        assert_eq!(request.send().await.unwrap().status(), 204);
    }

    /// `GET /v1/feeds/alice`.
    pub(crate) async fn snapshot(&self) -> Value {
        self.ask("/v1/feeds/alice").await
    }

    /// GET by alice.
    pub(crate) async fn ask(&self, path: &str) -> Value {
        json_of(self.request(Method::GET, path, &["--sub", "alice"]).await).await
    }

    fn record_all(&self, events: &[Value]) -> RequestBuilder {
        let request = self.http.post(format!("{}/v1/events", self.url));
        request
            .bearer_auth(&self.producer)
            .timeout(SOON)
            .json(events)
    }

    /// A request with the token that `tallycast token` makes with these arguments.
    async fn request(&self, method: Method, path: &str, who: &[&str]) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        request.bearer_auth(self.mint(who).await).timeout(SOON)
    }

    /// The answer of Debian's `sqlite3` to a query on the ledger of a killed server.
    pub(crate) async fn ask_sqlite(&self, sql: &str) -> String {
        let mut sqlite = Command::new("sqlite3");
        sqlite.args(["consumption.db", sql]);
        self.printed(sqlite).await
    }

    /// A ticket to watch the account of that subject.
    pub(crate) async fn ticket(&self, subject: &str) -> String {
        let who = ["--sub", subject];
        let request = self.request(Method::POST, "/v1/tickets", &who).await;
        let minted = json_of(request.json(&json!({ "account": subject }))).await;
        minted["ticket"].as_str().unwrap().to_owned()
    }

    /// A token that `tallycast token` makes with these arguments.
    pub(crate) async fn mint(&self, arguments: &[&str]) -> String {
        self.printed(self.token_command(arguments)).await
    }

    /// `tallycast token` with these arguments; the token is long-lived by default.
    pub(crate) fn token_command(&self, arguments: &[&str]) -> Command {
        let mut token = Command::new(BINARY);
        token.args(["token", "--jwt-secret-file", "secret"]);
        if !arguments.contains(&"--ttl") {
            token.args(["--ttl", "100d"]);
        }
        token.args(arguments).current_dir(self.folder.path());
        if let Some(clock) = &self.clock {
            clock.rule(&mut token);
        }
        token
    }

    /// The output of a program run in the server's folder.
    async fn printed(&self, mut program: Command) -> String {
        let output = program.current_dir(self.folder.path()).output().await;
        let output = output.unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(log(&self.folder)).unwrap_or_default();
            eprintln!("the server's log:\n{log}");
        }
    }
}

async fn serve(folder: &TempDir, listen: &str, clock: Option<&MovedClock>) -> (Child, String) {
    let stderr = File::options()
        .create(true)
        .append(true)
        .open(log(folder))
        .unwrap();
    let tls = match folder.path().join(CERTIFICATE).exists() {
        true => ["--tls-certificate-file", CERTIFICATE, "--tls-key-file", KEY].as_slice(),
        false => &[],
    };
    let mut server = Command::new(BINARY);
    server
        .args(["serve", "--listen", listen, "--admin-listen", "127.0.0.1:0"])
        .args([
            "--ledger",
            "sqlite:consumption.db",
            "--jwt-secret-file",
            "secret",
        ])
        .args(tls)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .kill_on_drop(true);
    if let Some(clock) = clock {
        clock.rule(&mut server);
    }
    let mut process = server.spawn().unwrap();
    let (url, _) = listening(&mut process).await;
    if clock.is_some() {
        MovedClock::tidy(process.id().unwrap());
    }
    (process, url)
}

/// Waits until a server listens; returns its URL, and its output before that.
pub(crate) async fn listening(process: &mut Child) -> (String, Vec<String>) {
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let mut before = Vec::new();
    loop {
        let line = timeout(SOON, lines.next_line())
            .await
            .expect("the server does not start");
        let line = line.unwrap().expect("the server ended");
        if let Some(place) = line.strip_prefix("listening on ") {
            // Its output stays open: a server that prints into a closed pipe ends.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            let url = match place.contains("://") {
                true => place.trim_end_matches('/').to_owned(),
                false => format!("http://{place}"),
            };
            return (url, before);
        }
        before.push(line);
    }
}

/// A folder with the secret that tokens are signed with.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(secret, "a secret for tests, of over 32 bytes").unwrap();
    folder
}

async fn json_of(request: RequestBuilder) -> Value {
    let answer = request.send().await.unwrap().error_for_status().unwrap();
    answer.json().await.unwrap()
}

fn log(folder: &TempDir) -> PathBuf {
    folder.path().join("server.log")
}

fn event(number: u64) -> Value {
    json!({
        "id": id(number),
        "account": "alice",
        "amount": format!("{number}.25"),
        "unit": if number.is_multiple_of(3) { "kWh" } else { "CNY" },
        "meter": if number.is_multiple_of(3) { "electricity" } else { "spend" },
        "category": if number.is_multiple_of(2) { "food" } else { "home" },
    })
}

fn id(number: u64) -> String {
    format!("e{number}")
}
