//! The examples, run as they are and followed by stock clients.

use std::{path::PathBuf, process::Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    sync::OnceCell,
};

use crate::{
    server::listening,
    stock::{SOON, Stock},
};

pub(crate) async fn watches_the_quickstart_drink_coffee(stock: Stock) {
    let host = Example::start("quickstart", &[]).await;
    let mut client = stock.client(&host.url, &host.token).start();
    client.connected().await;
    client.live().await;
    let update = client.expect("update").await;
    assert_eq!(update["entries"][0]["category"], "coffee");
    assert_eq!(update["totals"][0]["unit"], "EUR");
}

pub(crate) async fn follows_a_checkout_at_the_root(stock: Stock) {
    follows_a_checkout(stock, &[], "/socket.io/").await;
}

pub(crate) async fn follows_a_checkout_nested_under_live(stock: Stock) {
    follows_a_checkout(stock, &["--nest", "/live"], "/live/socket.io/").await;
}

async fn follows_a_checkout(stock: Stock, arguments: &[&str], path: &str) {
    let shop = Example::start("embed", arguments).await;
    let mut client = stock.client(&shop.url, &shop.token).path(path).start();
    client.connected().await;
    client.live().await;

    let order = json!({ "id": "order-1", "customer": "alice", "total": "12.50" });
    let receipt = shop.post("/checkout", &order).await;
    assert_eq!(receipt["status"], "recorded");
    // Paid twice by accident.
    let receipt = shop.post("/checkout", &order).await;
    assert_eq!(receipt["status"], "duplicate");
    let order = json!({ "id": "order-2", "customer": "alice", "total": "0.50" });
    shop.post("/checkout", &order).await;

    let first = client.expect("update").await;
    assert_eq!(first["entries"][0]["id"], "order-1");
    let second = client.expect("update").await;
    assert_eq!(second["entries"][0]["id"], "order-2");
    assert_eq!(second["totals"][0]["all"]["amount"], "13.00");
}

pub(crate) async fn is_let_in_by_a_hosts_own_keys(stock: Stock) {
    let host = Example::start("custom_auth", &[]).await;
    let mut client = stock.client(&host.url, "alices-kex").start();
    let refusal = client.await_kind("connect_error").await;
    assert_eq!(refusal["message"], "unauthorized");
    let mut client = stock.client(&host.url, &host.token).start();
    client.connected().await;
    client.live().await;
}

pub(crate) async fn talks_in_a_hosts_own_namespace(stock: Stock) {
    let host = Example::start("own_namespace", &[]).await;
    let mut stranger = stock
        .client(&host.url, "nonsense")
        .namespace("/support")
        .start();
    let refusal = stranger.await_kind("connect_error").await;
    assert_eq!(refusal["message"], "unauthorized");

    let mut feed = stock.client(&host.url, &host.token).start();
    feed.connected().await;
    feed.live().await;
    let mut client = stock
        .client(&host.url, &host.token)
        .namespace("/support")
        .start();
    client.connected().await;
    let answer = client.ask("question", &json!("Where is my coffee?")).await;
    assert_eq!(answer, "an agent will answer");
    host.send("/answers/alice", "On its way.").await;
    assert_eq!(client.expect("answer").await, "On its way.");
}

/// A running example.
struct Example {
    url: String,
    token: String,
    _process: Child,
    _folder: TempDir,
}

impl Example {
    async fn start(name: &str, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut process = Command::new(built().await.join(name))
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (url, said) = listening(&mut process).await;
        let token = said
            .iter()
            .find_map(|line| line.strip_prefix("token for alice: "))
            .unwrap();
        Self {
            url,
            token: token.to_owned(),
            _process: process,
            _folder: folder,
        }
    }

    /// Sends JSON and reads JSON.
    async fn post(&self, path: &str, body: &Value) -> Value {
        let request = reqwest::Client::new()
            .post(format!("{}{path}", self.url))
            .json(body);
        let answer = request
            .timeout(SOON)
            .send()
            .await
            .unwrap()
            .error_for_status()
            .unwrap();
        answer.json().await.unwrap()
    }

    /// Sends a text.
    async fn send(&self, path: &str, text: &str) {
        let request = reqwest::Client::new().post(format!("{}{path}", self.url));
        let answer = request
            .body(text.to_owned())
            .timeout(SOON)
            .send()
            .await
            .unwrap();
        answer.error_for_status().unwrap();
    }
}

/// Builds the examples, once; the folder that they are in.
async fn built() -> &'static PathBuf {
    static FOLDER: OnceCell<PathBuf> = OnceCell::const_new();
    let build = async || {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--locked", "--quiet", "--examples"]);
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        let built = cargo
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .await
            .unwrap();
        assert!(built.success(), "the examples do not build");
        PathBuf::from(env!("CARGO_BIN_EXE_tallycast")).with_file_name("examples")
    };
    FOLDER.get_or_init(build).await
}
