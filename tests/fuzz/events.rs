use axum::http::Request;
use serde_json::Value;

use crate::{fuzzer::Fuzzer, server::Server};

const WORDS: &[&str] = &[
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "\"",
    "\\u0000",
    "\\ud800",
    "\\\"",
    "1e999",
    "-0",
    "null",
    "true",
    "\n",
    "\r\n",
    " ",
    "\"id\":",
    "\"amount\":",
    "\"kind\":\"reversal\"",
    "\"reverses\":",
    "\"time\":\"9999-12-31T23:59:60Z\"",
    "\"attributes\":{\"a\":\"b\"}",
    "\"specversion\":\"1.0\"",
    "\"data\":{",
    "\u{202e}",
    "\u{feff}",
    "999999999999999.999999999",
];

/// The media types, whose forms differ in how an input is split into events.
const TYPES: &[&str] = &[
    "application/json",
    "application/x-ndjson",
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
];

/// What a whole request is refused with.
const REFUSALS: &[u16] = &[400, 404, 409, 413, 415, 422];

#[test]
fn a_body_is_recorded_once_or_refused_with_a_code() {
    let server = Server::start();
    Fuzzer::new("events").mutate(WORDS, |body| {
        for media_type in TYPES {
            let post = || {
                let request = Request::post("/v1/events").header("content-type", *media_type);
                server.runtime.block_on(server.ask(request, body))
            };
            let (first, again) = (outcomes(&post()), outcomes(&post()));
            assert_eq!(first.len(), again.len(), "{media_type}");
            for (first, again) in first.iter().zip(again) {
                // Within one body an original may follow its reversal, which a repetition then finds.
                let is_late = first.contains("unknown_original");
                let expected = first.replace("recorded", "duplicate");
                assert!(
                    is_late || expected == again,
                    "{media_type}: {first}, then {again}"
                );
            }
        }
        Server::assert_sound();
    });
}

/// What became of each event; for a refused body the refusal.
fn outcomes((status, body): &(u16, Value)) -> Vec<String> {
    let outcome = |body: &Value| {
        let of = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
        let (status, code) = (of("status"), of("code"));
        assert!(!status.is_empty() || !code.is_empty(), "{body}");
        format!("{status} {code} {}", body["offset"])
    };
    match status {
        200 if body["results"].is_array() => {
            let results = body["results"].as_array().unwrap();
            results.iter().map(outcome).collect()
        }
        200 | 201 => vec![outcome(body)],
        refused => {
            assert!(REFUSALS.contains(refused), "{refused}: {body}");
            let code = body["code"].as_str().unwrap();
            assert!(!code.is_empty() && !body["detail"].as_str().unwrap().is_empty());
            vec![format!("refused {code}")]
        }
    }
}
