use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt;
use proptest::prelude::Strategy;
use serde_json::Value;
use tallycast::Event;
use tokio::time::timeout;

use crate::{fuzzer::Fuzzer, mutation::Mutation, server::Server};

const WORDS: &[&str] = &[
    "\n",
    "\r",
    "\r\n",
    "\u{2028}",
    "\u{2029}",
    "\u{85}",
    "data:",
    "id:",
    "event: closing",
    "</script>",
    "<!--",
    "<script>",
    "\\",
    "\"",
    "\u{0}",
    "\u{1b}[31m",
    "\u{202e}",
    "\u{feff}",
    "😀",
    "&lt;",
];

/// How the page in the iframe begins; white space follows.
const PRELUDE: &str = r#"<!doctype html><meta charset="utf-8"><title>feed</title>"#;

/// The longest description.
const CHARS_MAX: usize = 500;

#[test]
fn every_stream_shows_a_description_as_it_was_sent() {
    let server = Server::start();
    let fuzzer = Fuzzer::new("texts");
    let texts = Mutation::of(fuzzer.corpus().to_vec(), WORDS);
    let texts = texts.prop_filter_map("no text", |text| {
        let text = std::str::from_utf8(&text).ok()?;
        let text: String = text.chars().take(CHARS_MAX).collect();
        (!text.is_empty()).then_some(text)
    });
    let account = std::cell::Cell::new(0);
    fuzzer.run(&texts, |text| {
        account.set(account.get() + 1);
        let name = account.get().to_string();
        server.runtime.block_on(check(&server, &name, text));
        Server::assert_sound();
    });
}

async fn check(server: &Server, account: &str, text: &str) {
    let event = Event::consumption("1", account, "1", "CNY").with_description(text);
    if server.hub.feed().append(event).await.is_err() {
        // Control characters, for example.
        return;
    }
    let feed = format!("/v1/feeds/{account}");
    let described = |json: &str| {
        let message: Value = serde_json::from_str(json).unwrap();
        message["recent"][0]["description"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let sse = until(server.open(&format!("{feed}/sse")).await, "\n\n").await;
    assert_eq!(described(&sse_data(&sse)), text);
    let lines = until(server.open(&format!("{feed}/stream")).await, "\n").await;
    assert_eq!(described(lines.trim_start().lines().next().unwrap()), text);
    let page = until(
        server.open(&format!("{feed}/iframe?callback=f")).await,
        ")</script>",
    )
    .await;
    let (before, call) = page.split_once("<script>parent.f(").unwrap();
    let (json, _) = call.split_once(")</script>").unwrap();
    assert_eq!(before.trim_end(), PRELUDE, "only the call shows it");
    assert!(
        !json.contains('<') && !json.contains('\u{2028}') && !json.contains('\u{2029}'),
        "{json}"
    );
    assert_eq!(described(json), text);
}

/// The text of a body up to the end of its first whole message.
async fn until(mut body: Body, end: &str) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let snapshot = text.split_once("\"snapshot\"");
        if snapshot.is_some_and(|(_, rest)| rest.contains(end)) {
            return text;
        }
        let frame = timeout(Duration::from_secs(10), body.frame()).await;
        let frame = frame.expect("more comes in time").unwrap().unwrap();
        bytes.extend_from_slice(&frame.into_data().unwrap());
    }
}

/// The data of the first event that has any, by the rules of the HTML standard, section 9.2.6.
fn sse_data(stream: &str) -> String {
    let lines = stream.replace("\r\n", "\n").replace('\r', "\n");
    let mut data: Option<String> = None;
    for line in lines.split('\n') {
        match (line.split_once(':'), &mut data) {
            (None, Some(data)) if line.is_empty() => return data.clone(),
            (Some(("data", value)), data) => {
                let value = value.strip_prefix(' ').unwrap_or(value);
                let joined = match data.take() {
                    Some(earlier) => format!("{earlier}\n{value}"),
                    None => value.to_owned(),
                };
                *data = Some(joined);
            }
            _ => {}
        }
    }
    panic!("no event: {stream}");
}
