//! Ten thousand bodies that nobody sane would send.

use std::fmt::Write;

use reqwest::RequestBuilder;
use serde_json::json;
use tokio::time::timeout;

use super::server::{SOON, Server, answer, event};

/// As the scorecard counts them.
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

/// A small generator of its own, so that a seed in a message is all it takes to see a failure again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

fn body(dice: &mut Dice) -> Vec<u8> {
    let whole = json!([
        event("1", "victim"),
        { "id": "2", "account": "victim", "kind": "reversal", "reverses": "1" },
        { "specversion": "1.0", "id": "3", "source": "s", "type": "x.adjustment",
          "subject": "victim", "data": { "amount": 1, "unit": "kWh", "description": "d" } },
    ]);
    let mut text = match dice.below(3) {
        0 => whole.to_string(),
        1 => whole[dice.below(3)].to_string(),
        _ => format!("{}\n{}\n{}", whole[0], whole[1], whole[2]),
    };
    for _ in 0..=dice.below(4) {
        let at = dice.below(text.len() + 1);
        match dice.below(4) {
            0 => text.insert_str(at, dice.pick(&PIECES)),
            1 => text.truncate(at),
            2 => text.replace_range(at.min(text.len().saturating_sub(1)).., dice.pick(&PIECES)),
            _ => write!(text, "{}", dice.pick(&PIECES).repeat(dice.below(2_000))).unwrap(),
        }
    }
    let mut bytes = text.into_bytes();
    if dice.below(3) == 0 && !bytes.is_empty() {
        let at = dice.below(bytes.len());
        bytes[at] = u8::try_from(dice.below(256)).unwrap();
    }
    bytes
}

fn dressed(dice: &mut Dice, request: RequestBuilder) -> RequestBuilder {
    let request = request.header("content-type", dice.pick(&MEDIA_TYPES));
    match dice.below(8) {
        0 => request.header("content-encoding", "gzip"),
        1 => request
            .header("ce-id", "1")
            .header("ce-specversion", dice.pick(&PIECES).trim_end()),
        _ => request,
    }
}

#[tokio::test]
async fn fuzzed_bodies_get_codes_and_the_next_good_event_is_recorded() {
    let server = Server::start().await;
    for seed in 0..BODIES {
        let dice = &mut Dice(seed as u64);
        let request = dressed(dice, server.post()).body(body(dice));
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
