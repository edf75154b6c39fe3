//! R11: one bad event in a hundred, and ten thousand random malformed bodies.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::sleep,
};

use super::{
    Plan,
    database_file::StoredEntries,
    findings::Findings,
    harness::Harness,
    http::{self, Http},
    random::Random,
    server::Server,
    token,
};

const SENDERS: u64 = 4;
/// The next good event, and health, are answered within this. Without optimisation, on a machine whose
/// disk others use too, it only tells a hang from an answer.
const ANSWERED_MAX: Duration =
    Duration::from_millis(if cfg!(debug_assertions) { 5_000 } else { 100 });
const PROBE_PAUSE: Duration = Duration::from_millis(5);

const KINDS: [&str; 5] = [
    "application/json",
    "application/x-ndjson",
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
    "application/json\r\nContent-Encoding: gzip",
];

const PIECES: [&str; 14] = [
    "[",
    "]",
    "{",
    "}",
    ",",
    "\"",
    "\\ud800",
    "\\u0000",
    "1e400",
    "-0",
    "null",
    "\n",
    "\"__proto__\":{}",
    "\u{202e}",
];

pub(crate) async fn run(plan: Plan) -> Findings {
    let mut findings = Findings::default();
    let harness = Harness::new(plan.random.clone(), 1);
    let server = Server::start(&harness.home).await;
    let (stop, stopped) = watch::channel(false);
    let health = probe(&server, stopped);
    let bodies = plan.either(10_000, 1_000_000) / SENDERS;
    let mut senders = JoinSet::new();
    let mut random = plan.random;
    for sender in 0..SENDERS {
        let sender = Sender {
            number: sender,
            server: server.public,
            random: random.split(),
            statuses: BTreeMap::new(),
            slowest: Duration::ZERO,
            faults: Vec::new(),
        };
        senders.spawn(sender.run(bodies));
    }
    let senders = senders.join_all().await;
    stop.send_replace(true);
    report(&senders, health.await.unwrap(), &mut findings);
    server.stop(&mut findings).await;
    findings.faults(harness.home.panics());
    let stored = StoredEntries::read(&harness.home, &mut findings);
    for sender in &senders {
        let (rows, good) = (stored.rows(&sender.account()).len() as u64, bodies / 100);
        findings.check(rows == good, || format!("{rows} good events of {good}"));
    }
    findings
}

fn report(senders: &[Sender], mut health: Vec<Duration>, findings: &mut Findings) {
    let mut statuses: BTreeMap<String, u64> = BTreeMap::new();
    for sender in senders {
        findings.faults(sender.faults.iter().cloned());
        for (status, count) in &sender.statuses {
            *statuses.entry(status.clone()).or_default() += count;
        }
    }
    let statuses: Vec<String> = statuses
        .iter()
        .map(|(code, n)| format!("{n} {code}"))
        .collect();
    findings.figure("bodies, by their answers", statuses.join(", "));
    let slowest = senders
        .iter()
        .map(|sender| sender.slowest)
        .max()
        .unwrap_or_default();
    findings.figure("the next good event, slowest", format!("{slowest:.1?}"));
    findings.check(slowest <= ANSWERED_MAX, || {
        format!("a good event took {slowest:?}")
    });
    health.sort();
    let worst = health.last().copied().unwrap_or(Duration::MAX);
    findings.figure(
        "health, answers and slowest",
        format!("{}, {worst:.1?}", health.len()),
    );
    findings.check(worst <= ANSWERED_MAX, || format!("health took {worst:?}"));
}

/// Polls health continuously; returns how long each answer took.
fn probe(server: &Server, stopped: watch::Receiver<bool>) -> JoinHandle<Vec<Duration>> {
    let admin = server.admin;
    tokio::spawn(async move {
        let mut http = Http::connect(admin, http::address(900), "").await.unwrap();
        let mut took = Vec::new();
        while !*stopped.borrow() {
            let asked = Instant::now();
            let answer = http.get("/health/live").await.unwrap();
            assert_eq!(answer.status, 200);
            took.push(asked.elapsed());
            sleep(PROBE_PAUSE).await;
        }
        took
    })
}

/// A producer that sends malformed bodies.
struct Sender {
    number: u64,
    server: std::net::SocketAddr,
    random: Random,
    statuses: BTreeMap<String, u64>,
    slowest: Duration,
    faults: Vec<String>,
}

impl Sender {
    fn account(&self) -> String {
        format!("good-{}", self.number)
    }

    async fn run(mut self, bodies: u64) -> Self {
        let from: IpAddr = http::address(self.number);
        let mut connection = None;
        for number in 1..=bodies {
            let http = match &mut connection {
                Some(http) => http,
                None => {
                    let http = Http::connect(self.server, from, &token::producer()).await;
                    connection.insert(http.unwrap())
                }
            };
            if !self.bad(http).await {
                connection = None;
            } else if number % 100 == 0 {
                self.good(http, number).await;
            }
        }
        self
    }

    /// Sends a bad body; returns whether the connection can be used again.
    async fn bad(&mut self, http: &mut Http) -> bool {
        let body = fuzzed(&mut self.random);
        let kind = KINDS[usize::try_from(self.random.below(5)).unwrap()];
        let answer = match http.post("/v1/events", kind, &body).await {
            Ok(answer) => answer,
            Err(error) => {
                let body = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
                self.faults
                    .push(format!("{error} instead of an answer to {kind} {body}"));
                return false;
            }
        };
        let json = answer.json();
        let code = json["code"].as_str().map(str::to_owned);
        let is_told = match answer.status {
            200 | 201 => items(&json).iter().all(is_told),
            400..500 => code.is_some(),
            _ => false,
        };
        if !is_told {
            self.faults
                .push(format!("{} {}", answer.status, answer.text()));
        }
        let status = code.unwrap_or_else(|| answer.status.to_string());
        *self.statuses.entry(status).or_default() += 1;
        answer.header("connection") != Some("close")
    }

    /// A good batch with one bad event in it.
    async fn good(&mut self, http: &mut Http, number: u64) {
        let account = self.account();
        let good =
            json!({ "id": number.to_string(), "account": account, "amount": "1", "unit": "CNY" });
        let bad = json!({ "id": "x", "account": account, "amount": "1e1", "unit": "CNY" });
        let sent = Instant::now();
        let body = json!([good, bad]).to_string();
        let answer = http.post("/v1/events", KINDS[0], body.as_bytes()).await;
        self.slowest = self.slowest.max(sent.elapsed());
        let results = answer
            .map(|answer| answer.json()["results"].clone())
            .unwrap_or_default();
        let statuses = [&results[0]["status"], &results[1]["status"]];
        if statuses != ["recorded", "rejected"] {
            self.faults
                .push(format!("a good event after {number}: {results}"));
        }
    }
}

fn items(json: &Value) -> Vec<Value> {
    json["results"]
        .as_array()
        .cloned()
        .unwrap_or_else(|| vec![json.clone()])
}

/// Whether one event's result reports its outcome.
fn is_told(result: &Value) -> bool {
    match result["status"].as_str() {
        Some("recorded" | "duplicate") => result["offset"].is_u64(),
        Some("conflict" | "rejected") => result["code"].is_string(),
        _ => false,
    }
}

/// A valid body, broken in a few places.
fn fuzzed(random: &mut Random) -> Vec<u8> {
    let events = json!([
        { "id": "1", "account": "victim", "amount": "1.50", "unit": "CNY" },
        { "id": "2", "account": "victim", "kind": "reversal", "reverses": "1" },
        { "specversion": "1.0", "id": "3", "source": "s", "type": "x.adjustment",
          "subject": "victim", "data": { "amount": 1, "unit": "kWh", "description": "d" } },
    ]);
    let mut text = match random.below(3) {
        0 => events.to_string(),
        1 => events[usize::try_from(random.below(3)).unwrap()].to_string(),
        _ => format!("{}\n{}\n{}", events[0], events[1], events[2]),
    };
    for _ in 0..=random.below(4) {
        let piece = PIECES[usize::try_from(random.below(PIECES.len() as u64)).unwrap()];
        let mut at = usize::try_from(random.below(text.len() as u64 + 1)).unwrap();
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        match random.below(4) {
            0 | 1 => text.insert_str(at, piece),
            2 => text.truncate(at),
            _ => text.insert_str(
                at,
                &piece.repeat(usize::try_from(random.below(3_000)).unwrap()),
            ),
        }
    }
    let mut bytes = text.into_bytes();
    if random.one_in(3) && !bytes.is_empty() {
        let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
        bytes[at] = random.draw().to_le_bytes()[0];
    }
    bytes
}
