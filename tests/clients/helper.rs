//! The contract of `client-demo/src/feed.ts`, which app developers copy, with the real binary.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    backend::{
        Backend,
        Handout::{self, Bobs, Lasting, Nonsense},
    },
    guide::Guide,
    server::Server,
    stock::{StockClient, node},
    tcp_proxy::TcpProxy,
};

#[tokio::test]
async fn shows_the_ledger_and_says_that_it_is_live() {
    let mut server = Server::start().await;
    server.record(25).await;
    let mut app = Helper::start(&server, &server.url).await;
    let screen = app.live().await;
    assert_eq!(screen["entries"].as_array().unwrap().len(), 20);
    assert_shows_the_ledger(&screen, &server).await;

    server.record(7).await;
    let screen = app.at(32).await;
    let entries = screen["entries"].as_array().unwrap();
    assert_eq!((entries.len(), &entries[19]["offset"]), (20, &json!(32)));
    assert_shows_the_ledger(&screen, &server).await;
}

#[tokio::test]
async fn resumes_after_a_restart_without_a_snapshot() {
    let mut server = Server::start().await;
    server.record(3).await;
    let mut app = Helper::start(&server, &server.url.clone()).await;
    app.live().await;
    server.kill().await;
    app.status("stale").await;
    server.restart().await;
    server.record(5).await;
    let screen = app.at(8).await;
    assert_shows_the_ledger(&screen, &server).await;
    assert_eq!(app.snapshots, 1);
}

#[tokio::test]
async fn resumes_after_cuts() {
    let mut server = Server::start().await;
    let proxy = TcpProxy::to(&server.url).await;
    let mut app = Helper::start(&server, &proxy.url).await;
    app.live().await;
    for offset in [5, 10, 15] {
        proxy.cut();
        app.status("stale").await;
        server.record(5).await;
        proxy.restore();
        let screen = app.at(offset).await;
        assert_shows_the_ledger(&screen, &server).await;
    }
    assert_eq!(app.snapshots, 1);
}

#[tokio::test]
async fn drops_a_repeated_update() {
    let mut server = Server::start().await;
    let mut app = Helper::start(&server, &server.url).await;
    app.live().await;
    server.record(3).await;
    let screen = app.at(3).await;
    app.client.tell(&json!({ "repeat": true })).await;
    let line = app.client.next().await;
    assert_eq!(line["kind"], "repeated", "a repeat changes nothing: {line}");
    assert_eq!(line["screen"], screen);
}

#[tokio::test]
async fn closes_a_gap_by_subscribing_again() {
    let mut server = Server::start().await;
    let mut app = Helper::start(&server, &server.url).await;
    app.live().await;
    server.record(3).await;
    app.at(3).await;
    // Twice: a gap is closed every time.
    for offset in [6, 9] {
        app.client.tell(&json!({ "lose": true })).await;
        app.client.await_kind("losing").await;
        server.record(1).await;
        app.client.await_kind("lost").await;
        server.record(2).await;
        assert_eq!(app.client.await_kind("emit").await["event"], "subscribe");
        let screen = app.at(offset).await;
        assert_shows_the_ledger(&screen, &server).await;
    }
    assert_eq!(app.snapshots, 1);
}

#[tokio::test]
async fn closes_a_gap_after_a_cut_kept_it_from_closing_one() {
    let mut server = Server::start().await;
    let proxy = TcpProxy::to(&server.url).await;
    let mut app = Helper::start(&server, &proxy.url).await;
    app.live().await;
    for offset in [3, 6] {
        app.client.tell(&json!({ "lose": true })).await;
        app.client.await_kind("losing").await;
        server.record(1).await;
        app.client.await_kind("lost").await;
        server.record(2).await;
        assert_eq!(app.client.await_kind("emit").await["event"], "subscribe");
        if offset == 3 {
            // Possibly before the answer.
            proxy.cut();
            app.status("stale").await;
            proxy.restore();
            // Only now: an update lost from a replay is never sent again.
            assert_eq!(app.live().await["offset"], offset);
        } else {
            app.at(offset).await;
        }
    }
}

#[tokio::test]
async fn renews_its_token_and_keeps_its_connection() {
    let mut server = Server::start().await;
    let tokens = [Lasting("3s"), Lasting("1h")];
    let mut app = Helper::with_tokens(&server, &tokens).await;
    app.live().await;
    let first_token_ends = Instant::now() + Duration::from_secs(3);
    let mut offset = 0;
    while Instant::now() < first_token_ends {
        server.record(1).await;
        offset += 1;
        app.at(offset).await;
    }
    server.record(1).await;
    app.at(offset + 1).await;
    assert_eq!(app.connects, 1);
}

#[tokio::test]
async fn comes_back_when_its_token_could_not_be_renewed() {
    let server = Server::start().await;
    let tokens = [Lasting("3s"), Nonsense, Lasting("1h")];
    let mut app = Helper::with_tokens(&server, &tokens).await;
    app.live().await;
    app.status("stale").await;
    app.live().await;
    assert_eq!(app.snapshots, 1);
}

#[tokio::test]
async fn says_that_it_is_refused_and_why() {
    let server = Server::start().await;
    for (token, why) in [(Nonsense, "unauthorized"), (Bobs, "not_found")] {
        let mut app = Helper::with_tokens(&server, &[token]).await;
        let line = app.status("refused").await;
        assert_eq!(line["refusal"], why);
    }
}

#[tokio::test]
async fn shows_its_last_screen_after_a_reload_and_resumes() {
    let mut server = Server::start().await;
    server.record(3).await;
    let folder = tempfile::tempdir().unwrap();
    let storage = folder.path().join("screen");
    let backend = Backend::of(&server).await;
    let spec = json!({ "url": server.url, "backend": backend.url, "storage": storage });
    let mut app = Helper::start_with(&spec, None).await;
    let screen = app.live().await;
    app.client.end().await;

    server.record(2).await;
    let mut app = Helper::start_with(&spec, None).await;
    let line = app.change().await;
    assert_eq!(
        (&line["status"], &line["screen"]),
        (&json!("connecting"), &screen)
    );
    let screen = app.at(5).await;
    assert_shows_the_ledger(&screen, &server).await;
    assert_eq!(app.snapshots, 0);
}

#[tokio::test]
async fn starts_anew_from_a_storage_that_it_cannot_read() {
    let mut server = Server::start().await;
    server.record(3).await;
    let folder = tempfile::tempdir().unwrap();
    let storage = folder.path().join("screen");
    std::fs::write(&storage, "{ broken").unwrap();
    let backend = Backend::of(&server).await;
    let spec = json!({ "url": server.url, "backend": backend.url, "storage": storage });
    let mut app = Helper::start_with(&spec, None).await;
    assert_shows_the_ledger(&app.live().await, &server).await;
}

#[tokio::test]
async fn shows_no_more_entries_than_it_was_asked_for() {
    let mut server = Server::start().await;
    server.record(3).await;
    for (recent, shown) in [(0, 0), (2, 2)] {
        let backend = Backend::of(&server).await;
        let spec = json!({ "url": server.url, "backend": backend.url, "recent": recent });
        let mut app = Helper::start_with(&spec, Some(backend)).await;
        let first = app.live().await;
        server.record(4).await;
        let next = app.at(first["offset"].as_u64().unwrap() + 4).await;
        for screen in [first, next] {
            assert_eq!(screen["entries"].as_array().unwrap().len(), shown);
        }
    }
}

#[tokio::test]
async fn forgets_an_account_that_was_erased() {
    let mut server = Server::start().await;
    server.record(3).await;
    let folder = tempfile::tempdir().unwrap();
    let storage = folder.path().join("screen");
    let backend = Backend::handing_out(&server, &[Lasting("1h"), Nonsense]).await;
    let spec = json!({ "url": server.url, "backend": backend.url, "storage": storage });
    let mut app = Helper::start_with(&spec, None).await;
    app.live().await;
    server.erase().await;
    // Its account is erased: a new token does not restore the screen.
    assert_eq!(app.status("refused").await.get("screen"), None);
    assert_eq!(std::fs::read_to_string(&storage).unwrap(), "null");
}

#[tokio::test]
async fn wakes_with_a_new_connection_after_a_sleep() {
    let server = Server::start().await;
    let mut app = Helper::start(&server, &server.url).await;
    app.live().await;
    app.client.tell(&json!({ "wake": true })).await;
    let line = app.client.next().await;
    assert_eq!(line["kind"], "woken", "a live connection is kept: {line}");
    app.client
        .tell(&json!({ "sleep_ms": 60_000, "wake": true }))
        .await;
    app.live().await;
    assert_eq!((app.connects, app.snapshots), (2, 1));
}

/// An app with the helper.
struct Helper {
    client: StockClient,
    /// How often it connected, and how often it got a snapshot.
    connects: usize,
    snapshots: usize,
    _built: Guide,
    _backend: Option<Backend>,
}

impl Helper {
    async fn start(server: &Server, url: &str) -> Self {
        let backend = Backend::of(server).await;
        let spec = json!({ "url": url, "backend": backend.url });
        Self::start_with(&spec, Some(backend)).await
    }

    async fn with_tokens(server: &Server, tokens: &[Handout]) -> Self {
        let backend = Backend::handing_out(server, tokens).await;
        let spec = json!({ "url": server.url, "backend": backend.url });
        Self::start_with(&spec, Some(backend)).await
    }

    async fn start_with(spec: &Value, backend: Option<Backend>) -> Self {
        let built = Guide::empty().with_helper();
        built.compile().await.unwrap();
        let mut command = node("feed.js", "socket.io-client");
        command.arg(built.path().join("built/feed.js"));
        command.arg(spec.to_string());
        Self {
            client: StockClient::follow(command),
            connects: 0,
            snapshots: 0,
            _built: built,
            _backend: backend,
        }
    }

    /// The next change of its screen.
    async fn change(&mut self) -> Value {
        loop {
            let line = self.client.next().await;
            match line["kind"].as_str().unwrap() {
                "connect" => self.connects += 1,
                "change" => {
                    self.snapshots += usize::from(line["message"] == "snapshot");
                    return line;
                }
                _ => {}
            }
        }
    }

    /// Waits until it has this status.
    async fn status(&mut self, status: &str) -> Value {
        loop {
            let line = self.change().await;
            if line["status"] == status {
                return line;
            }
        }
    }

    /// Waits until it is live; returns its screen.
    async fn live(&mut self) -> Value {
        self.status("live").await["screen"].take()
    }

    /// Waits until its screen is at `offset`.
    async fn at(&mut self, offset: u64) -> Value {
        loop {
            let mut line = self.change().await;
            if line["screen"]["offset"] == offset {
                return line["screen"].take();
            }
        }
    }
}

async fn assert_shows_the_ledger(screen: &Value, server: &Server) {
    let ledger = server.snapshot().await;
    assert_eq!(screen["offset"], ledger["offset"]);
    assert_eq!(sorted(&screen["totals"]), sorted(&ledger["totals"]));
    let ledger = ledger["recent"].as_array().unwrap();
    let screen = screen["entries"].as_array().unwrap();
    assert!(
        ledger.ends_with(screen) || screen.ends_with(ledger),
        "{screen:#?}"
    );
}

fn sorted(totals: &Value) -> Vec<String> {
    let mut totals: Vec<_> = totals
        .as_array()
        .unwrap()
        .iter()
        .map(Value::to_string)
        .collect();
    totals.sort();
    totals
}
