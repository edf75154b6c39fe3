//! The real binary, with a ledger on disk.

use std::{fs::File, path::PathBuf, process::Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::stock::SOON;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_tallycast");
/// In the server's folder, if it has TLS.
const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";

/// `tallycast serve`, which can be killed and started again.
pub(crate) struct Server {
    /// Where it listens; the same after a restart.
    pub(crate) url: String,
    folder: TempDir,
    process: Child,
    http: reqwest::Client,
    /// Of who records.
    producer: String,
    recorded: u64,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), reqwest::Client::new()).await
    }

    /// The same under `https`, with a certificate of its own.
    pub(crate) async fn start_with_tls() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let pem = made.cert.pem();
        std::fs::write(folder.path().join(CERTIFICATE), &pem).unwrap();
        let key = made.signing_key.serialize_pem();
        std::fs::write(folder.path().join(KEY), key).unwrap();
        let trusted = reqwest::Certificate::from_pem(pem.as_bytes()).unwrap();
        let http = reqwest::Client::builder().tls_certs_only([trusted]);
        Self::start_in(folder, http.build().unwrap()).await
    }

    async fn start_in(folder: TempDir, http: reqwest::Client) -> Self {
        let secret = folder.path().join("secret");
        std::fs::write(secret, "a secret for tests, of over 32 bytes").unwrap();
        let (process, url) = serve(&folder, "127.0.0.1:0").await;
        let producer = ["--sub", "shop", "--scope", "record", "--accounts", "*"];
        Self {
            url,
            producer: mint(&folder, &producer).await,
            folder,
            process,
            http,
            recorded: 0,
        }
    }

    /// What to trust, if it has TLS.
    pub(crate) fn certificate(&self) -> Option<PathBuf> {
        Some(self.folder.path().join(CERTIFICATE)).filter(|file| file.exists())
    }

    /// `kill -9`.
    pub(crate) async fn kill(&mut self) {
        self.process.kill().await.unwrap();
    }

    /// Starts it again, on the same ledger and the same port.
    pub(crate) async fn restart(&mut self) {
        let (_, address) = self.url.split_once("://").unwrap();
        let address = address.to_owned();
        (self.process, _) = serve(&self.folder, &address).await;
    }

    /// A token of `tallycast token`, to watch the account of its subject.
    pub(crate) async fn token(&self, subject: &str) -> String {
        self.mint(&["--sub", subject]).await
    }

    /// Records `count` more events of alice in one request; their ids go on from those before.
    pub(crate) async fn record(&mut self, count: u64) {
        let first = self.recorded + 1;
        self.recorded += count;
        self.post((first..=self.recorded).map(event).collect())
            .await;
    }

    /// Records one more event of alice, with more fields.
    pub(crate) async fn record_with(&mut self, fields: Value) {
        self.recorded += 1;
        let mut event = event(self.recorded);
        let Value::Object(fields) = fields else {
            panic!("fields are an object");
        };
        event.as_object_mut().unwrap().extend(fields);
        self.post(vec![event]).await;
    }

    async fn post(&self, events: Vec<Value>) {
        let request = self
            .http
            .post(format!("{}/v1/events", self.url))
            .bearer_auth(&self.producer);
        let answer = request.json(&events).timeout(SOON).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
        let answer: Value = answer.json().await.unwrap();
        let results = answer["results"].as_array().unwrap();
        assert!(
            results.iter().all(|result| result["status"] == "recorded"),
            "{answer}"
        );
    }

    /// The ids of all that was recorded, in order.
    pub(crate) fn recorded_ids(&self) -> Vec<String> {
        (1..=self.recorded).map(id).collect()
    }

    /// `GET /v1/feeds/alice`.
    pub(crate) async fn snapshot(&self) -> Value {
        let request = self.http.get(format!("{}/v1/feeds/alice", self.url));
        let request = request.bearer_auth(self.token("alice").await).timeout(SOON);
        let answer = request.send().await.unwrap().error_for_status().unwrap();
        answer.json().await.unwrap()
    }

    /// A ticket to watch the account of that subject.
    pub(crate) async fn ticket(&self, subject: &str) -> String {
        let request = self.http.post(format!("{}/v1/tickets", self.url));
        let request = request.bearer_auth(self.token(subject).await);
        let request = request.json(&json!({ "account": subject })).timeout(SOON);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 201);
        let minted: Value = answer.json().await.unwrap();
        minted["ticket"].as_str().unwrap().to_owned()
    }

    /// A token that `tallycast token` makes with these arguments.
    pub(crate) async fn mint(&self, arguments: &[&str]) -> String {
        mint(&self.folder, arguments).await
    }
}

async fn mint(folder: &TempDir, arguments: &[&str]) -> String {
    let output = Command::new(BINARY)
        .args(["token", "--jwt-secret-file", "secret", "--ttl", "1h"])
        .args(arguments)
        .current_dir(folder.path())
        .output()
        .await
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(log(&self.folder)).unwrap_or_default();
            eprintln!("the server's log:\n{log}");
        }
    }
}

async fn serve(folder: &TempDir, listen: &str) -> (Child, String) {
    let stderr = File::options()
        .create(true)
        .append(true)
        .open(log(folder))
        .unwrap();
    let tls = match folder.path().join(CERTIFICATE).exists() {
        true => ["--tls-certificate-file", CERTIFICATE, "--tls-key-file", KEY].as_slice(),
        false => &[],
    };
    let mut process = Command::new(BINARY)
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
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let (url, _) = listening(&mut process).await;
    (process, url)
}

/// Waits until a server listens: the URL to reach it, and what it printed before.
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
