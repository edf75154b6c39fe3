//! F6: requests that are refused, or that a customer may make, at the full rate of one core.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::StreamExt;
use serde_json::json;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout_at},
};
use tokio_tungstenite::tungstenite::Message;

use super::{
    super::{Plan, findings::Findings, http, socketio, token},
    Bounds, Flood, STRANGER,
    honest::CUSTOMER,
    on_a_thread,
    pump::{Answers, Pump, Request},
    record,
};

const CONNECTIONS: u64 = 8;
const PIPELINED: u64 = 16;
const HISTORY: u64 = 1_000;
const BOUNDS: Bounds = Bounds {
    mib_max: Some(100),
    p50_times_max: None,
    p99_times_max: Some(3.0),
};
/// How many rejected tokens the documented limits allow an address at once, and then each second.
const REJECTED: (u64, u64) = (1_000, 100);
/// The same, of requests with one token.
const ACCEPTED: (u64, u64) = (5_000, 500);
/// As many as are refused before a connection is closed.
const CONNECTS: usize = 16;
const RETRY_PAUSE: Duration = Duration::from_millis(10);

pub(crate) async fn run(plan: Plan) -> Findings {
    let mut findings = Findings::default();
    for kind in kinds() {
        kind.run(&plan, &mut findings).await;
    }
    findings
}

fn kinds() -> Vec<Kind> {
    let forged = token::forged(CUSTOMER);
    let (watch, recording) = (
        token::watcher(STRANGER),
        token::customer(STRANGER, "record"),
    );
    let feed = format!("/v1/feeds/{CUSTOMER}");
    let ticket = format!("{feed}/sse?ticket=ticket.{}", forged.replace('.', "-"));
    let history = format!("/v1/feeds/{STRANGER}/entries?limit=200");
    let push = json!({ "to": { "account": CUSTOMER }, "event": "coupon" }).to_string();
    vec![
        Kind::of_a_stranger(
            "failing tokens",
            Means::Http(request("GET", &feed, &forged, "")),
        ),
        Kind::of_a_stranger(
            "failing tickets",
            Means::Http(request("GET", &ticket, "", "")),
        ),
        Kind::of_a_stranger("failing subscriptions", Means::SocketIo(forged.into())),
        Kind::of_a_token(
            "pushes without scope",
            request("POST", "/v1/push", &watch, &push),
        ),
        Kind::of_a_token("tickets", request("POST", "/v1/tickets", &watch, "{}")),
        Kind::of_a_token("history", request("GET", &history, &watch, "")),
        Kind::of_a_token("events of a device", events(&recording)),
    ]
}

/// The same request each time.
fn request(method: &str, path: &str, token: &str, body: &str) -> Request {
    let bytes = bytes(method, path, token, body);
    Arc::new(move |_| bytes.clone())
}

fn events(token: &str) -> Request {
    let token = token.to_owned();
    Arc::new(move |number| {
        let event = json!({ "id": format!("device-{number}"), "account": STRANGER, "amount": "1", "unit": "CNY" });
        bytes("POST", "/v1/events", &token, &event.to_string())
    })
}

fn bytes(method: &str, path: &str, token: &str, body: &str) -> Vec<u8> {
    let authorization = match token {
        "" => String::new(),
        token => format!("Authorization: Bearer {token}\r\n"),
    };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: tallycast\r\n{authorization}\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    format!("{head}{body}").into_bytes()
}

/// One kind of requests.
struct Kind {
    name: &'static str,
    means: Means,
    /// How many are taken at once, and then each second.
    may: (u64, u64),
    /// Of how many addresses.
    addresses: u64,
}

enum Means {
    Http(Request),
    /// CONNECT packets with this token.
    SocketIo(Arc<str>),
}

impl Kind {
    fn of_a_stranger(name: &'static str, means: Means) -> Self {
        Self {
            name,
            means,
            may: REJECTED,
            addresses: 1,
        }
    }

    /// Its limit holds although each connection has another address.
    fn of_a_token(name: &'static str, request: Request) -> Self {
        Self {
            name,
            means: Means::Http(request),
            may: ACCEPTED,
            addresses: CONNECTIONS,
        }
    }

    async fn run(self, plan: &Plan, findings: &mut Findings) {
        let (name, may) = (self.name, self.may);
        // Rejected tokens have to exceed their limit in a short form too.
        let short = if may == REJECTED { 2_000 } else { 1_000 };
        let lasts = Duration::from_millis(plan.either(short, 10_000));
        let prepare = async |server: &_| record(server, STRANGER, HISTORY, 1).await;
        let flood = Flood::new(name, plan, BOUNDS);
        let asking = flood.run(findings, prepare, async |server| match self.means {
            Means::Http(request) => {
                let numbers = 0..CONNECTIONS;
                let from = numbers.map(|number| http::address(1 + number % self.addresses));
                let pump = Pump {
                    server: server.public,
                    from: from.collect(),
                    depth: PIPELINED,
                    reconnects: false,
                    request,
                };
                pump.run(lasts).await
            }
            Means::SocketIo(token) => {
                let server = server.public;
                let connecting = on_a_thread(move || connect_from_all(server, token, lasts));
                connecting.await.unwrap()
            }
        });
        let (answers, cost) = asking.await;
        findings.figure(&format!("{name}: answers"), &answers);
        let taken_max = may.0 + may.1 * (cost.lasted.as_secs() + 1);
        let done = answers.done();
        findings.check(done <= taken_max, || {
            format!("{name}: {done} were taken, {taken_max} at most")
        });
        findings.check(done > 0, || format!("{name}: nothing was answered"));
        let is_limited = !plan.is_long || answers.of(429) > 0;
        findings.check(is_limited, || format!("{name}: nothing was refused"));
        findings.check(answers.without_retry_after == 0, || {
            format!("{name}: a refusal without Retry-After")
        });
    }
}

async fn connect_from_all(server: SocketAddr, token: Arc<str>, lasts: Duration) -> Answers {
    let until = Instant::now() + lasts;
    let mut clients = JoinSet::new();
    for _ in 0..CONNECTIONS {
        clients.spawn_local(connect_again_and_again(server, Arc::clone(&token), until));
    }
    let mut all = Answers::default();
    while let Some(answers) = clients.join_next().await {
        all.add(answers.unwrap());
    }
    all
}

/// Sends CONNECTs that are refused, on one connection after the other.
async fn connect_again_and_again(server: SocketAddr, token: Arc<str>, until: Instant) -> Answers {
    let packet = format!("40/feed,{}", json!({ "token": &*token }));
    let mut answers = Answers::default();
    while Instant::now() < until {
        let connecting = async {
            let stream = http::connect(server, http::address(1)).await?;
            let mut socket = socketio::open(stream, server, "").await?;
            for _ in 0..CONNECTS {
                socketio::send(&mut socket, packet.clone()).await?;
            }
            let mut refused = 0;
            while refused < CONNECTS {
                let Some(Ok(message)) = socket.next().await else {
                    return Err(io::ErrorKind::ConnectionAborted.into());
                };
                let status = match message {
                    Message::Text(packet) if packet.contains("too_many_requests") => 429,
                    Message::Text(packet) if packet.contains("unauthorized") => 401,
                    _ => continue,
                };
                answers.add_one(status);
                refused += 1;
            }
            io::Result::Ok(())
        };
        if let Ok(Err(_)) = timeout_at(until, connecting).await {
            answers.lost += 1;
            sleep(RETRY_PAUSE).await;
        }
    }
    answers
}
