//! Ten thousand random malformed bodies.

use std::fmt::Write;

use reqwest::RequestBuilder;
use serde_json::json;
use tokio::time::timeout;

use crate::support::{
    SOON,
    api_server::{ApiServer, answer, event},
    random::SeededRandom,
};

/// As many as one second of hostile requests.
const BODIES: usize = 10_000;

const MEDIA_TYPES: [&str; 5] = [
    "application/json",
    "application/x-ndjson",
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
    "text/plain",
];

const PIECES: [&str; 14] = [
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "\"",
    "\\u0000",
    "1e999",
    "-0",
    "null",
    "\n",
    "\"id\":\"1\"",
    "%",
];

fn body(random: &mut SeededRandom) -> Vec<u8> {
    let whole = json!([
        event("1", "victim"),
        { "id": "2", "account": "victim", "kind": "reversal", "reverses": "1" },
        { "specversion": "1.0", "id": "3", "source": "s", "type": "x.adjustment",
          "subject": "victim", "data": { "amount": 1, "unit": "kWh", "description": "d" } },
    ]);
    let mut text = match random.below(3) {
        0 => whole.to_string(),
        1 => whole[random.below(3)].to_string(),
        _ => format!("{}\n{}\n{}", whole[0], whole[1], whole[2]),
    };
    for _ in 0..=random.below(4) {
        let at = random.below(text.len() + 1);
        match random.below(4) {
            0 => text.insert_str(at, random.pick(&PIECES)),
            1 => text.truncate(at),
            2 => text.replace_range(at.min(text.len().saturating_sub(1)).., random.pick(&PIECES)),
            _ => write!(text, "{}", random.pick(&PIECES).repeat(random.below(2_000))).unwrap(),
        }
    }
    let mut bytes = text.into_bytes();
    if random.below(3) == 0 && !bytes.is_empty() {
        let at = random.below(bytes.len());
        bytes[at] = u8::try_from(random.below(256)).unwrap();
    }
    bytes
}

fn dressed(random: &mut SeededRandom, request: RequestBuilder) -> RequestBuilder {
    let request = request.header("content-type", random.pick(&MEDIA_TYPES));
    match random.below(8) {
        0 => request.header("content-encoding", "gzip"),
        1 => request
            .header("ce-id", "1")
            .header("ce-specversion", random.pick(&PIECES).trim_end()),
        _ => request,
    }
}

#[tokio::test]
async fn fuzzed_bodies_get_codes_and_the_next_good_event_is_recorded() {
    let server = ApiServer::start().await;
    for seed in 0..BODIES {
        let random = &mut SeededRandom(seed as u64);
        let request = dressed(random, server.post()).body(body(random));
        let answered = timeout(SOON, answer(request)).await;
        let answered = answered.unwrap_or_else(|_| panic!("seed {seed}: no answer"));
        match answered.status.as_u16() {
            200 | 201 => {}
            400 | 404 | 409 | 413 | 415 | 422 => {
                answered.refusal();
            }
            status => panic!("seed {seed}: {status} {}", answered.text),
        }
        if seed % 100 == 0 {
            let good = server.record(&event(&seed.to_string(), "alice")).await;
            assert_eq!(good.status, 201, "after seed {seed}");
        }
    }
    assert_eq!(server.offset("alice").await, (BODIES / 100) as u64);
}
