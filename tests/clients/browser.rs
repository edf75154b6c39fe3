//! A real browser, with one page that follows a feed on every transport.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    server::Server,
    stock::{StockClient, node},
};

const WAYS: [&str; 4] = ["iframe", "eventsource", "websocket", "fetch"];
/// How soon a customer must see a new entry.
const LIVE: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_page_gets_the_same_by_iframe_eventsource_websocket_and_fetch() {
    let mut server = Server::start().await;
    server.record(3).await;
    let mut page = Page::open(&server).await;

    let snapshot = page.next_everywhere().await;
    assert_eq!(snapshot["type"], "snapshot");
    assert_eq!(snapshot["totals"], server.snapshot().await["totals"]);
    assert_eq!(page.next_everywhere().await["type"], "live");

    for text in [
        "plain",
        "</script><img src=x onerror=parent.harm()>",
        "<!--<script>parent.harm()</script>",
        "\u{1f35c}\u{2028}'\"`${parent.harm()}\\",
    ] {
        let recording = Instant::now();
        server.record_with(json!({ "description": text })).await;
        let update = page.next_everywhere().await;
        assert!(
            recording.elapsed() < LIVE,
            "after {:?}",
            recording.elapsed()
        );
        assert_eq!(update["entries"][0]["description"], text);
    }
    page.close().await;
}

struct Page {
    program: StockClient,
    /// Unread messages of each transport.
    waiting: BTreeMap<String, Vec<Value>>,
    _profile: tempfile::TempDir,
}

impl Page {
    async fn open(server: &Server) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let spec = json!({
            "url": server.url,
            "account": "alice",
            "ticket": server.ticket("alice").await,
            "profile": profile.path(),
        });
        let mut command = node("browser.js", "playwright-core");
        command.arg(spec.to_string());
        Self {
            program: StockClient::follow(command),
            waiting: BTreeMap::new(),
            _profile: profile,
        }
    }

    /// The next message, once every transport has it; it must be the same on all.
    async fn next_everywhere(&mut self) -> Value {
        while WAYS.iter().any(|way| self.came(way).is_empty()) {
            let mut line = self.program.next().await;
            assert_ne!(line["kind"], "fault", "{line}");
            if line["kind"] == "event" {
                let way = line["via"].as_str().unwrap().to_owned();
                self.came(&way).push(line["data"].take());
            }
        }
        let messages = WAYS.map(|way| self.came(way).remove(0));
        assert!(messages.iter().all(|message| *message == messages[0]));
        messages[0].clone()
    }

    fn came(&mut self, way: &str) -> &mut Vec<Value> {
        self.waiting.entry(way.to_owned()).or_default()
    }

    /// Ends the program, which must have printed nothing more.
    async fn close(self) {
        let Self { program, .. } = self;
        assert_eq!(program.end().await, [""; 0]);
    }
}
