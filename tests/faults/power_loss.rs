//! R2: what was acknowledged survives a power loss. Proven by the order of system calls: before an
//! answer is written, an `fdatasync` of the log has returned that began after the event's commit was
//! written to it.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tokio::time::sleep;

use super::{
    Plan,
    client::Transport,
    findings::Findings,
    harness::{Harness, Load, wait_until},
    server::{Server, has_program},
    trace::{self, Call},
};

const CALLS: &str =
    "trace=pwrite64,write,writev,sendto,sendmsg,read,readv,recvfrom,recvmsg,fsync,fdatasync";
/// Fewer prove little.
const ANSWERS_MIN: usize = 50;
const EVENTS_MIN: usize = 4 * ANSWERS_MIN;
const WAIT_MAX: Duration = Duration::from_secs(30);
/// The start and end of every event's id.
const ID_START: &[u8] = b"r2p";
const ID_END: u8 = b'x';
/// A frame of the log: a header of this length, then the page.
const FRAME_HEADER_BYTES: usize = 24;

pub(crate) async fn run(plan: Plan) -> Findings {
    let mut findings = Findings::default();
    if !has_program("strace") {
        findings.fault("strace is missing: install it (Debian: apt-get install strace)");
        return findings;
    }
    let mut harness = Harness::new(plan.random.clone(), 4);
    let log = harness.home.path("trace");
    let server = Server::start_under(&harness.home, &trace::strace(&log, &["-e", CALLS])).await;
    harness.announce(Some(&server));
    harness
        .begin_clients(&[Transport::LongPolling], 1, false)
        .await;
    let load = Load {
        producers: 4,
        batch: 8,
        pause: Duration::from_millis(2),
        padding: 0,
    };
    harness.begin_producers("r2", load);
    sleep(Duration::from_secs(plan.either(3, 60))).await;
    // A busy disk needs longer for the same evidence.
    let enough = async || harness.oracle.acknowledged() >= EVENTS_MIN;
    let _late = wait_until(WAIT_MAX, enough).await;
    harness.end_producers(&mut findings).await;
    let clients = harness.end_clients().await;
    server.stop(&mut findings).await;
    findings.check(trace::ended(&log).await, || {
        "the trace is not whole".to_owned()
    });
    harness.compare(&clients, &mut findings);
    let mut order = Order::default();
    for call in trace::read(&log) {
        order.take(&call);
    }
    order.report(&mut findings);
    findings
}

/// Follows each event from its request to the answer that acknowledges it.
#[derive(Default)]
struct Order {
    /// By connection, the ids of the request that is being answered.
    asked: HashMap<String, HashSet<Vec<u8>>>,
    /// Whether the frame under way ends a transaction.
    is_commit: bool,
    /// Written in the transaction under way.
    writing: Vec<Vec<u8>>,
    /// When the transaction that first wrote an event was wholly written.
    written: HashMap<Vec<u8>, usize>,
    /// The syncs of the log that returned: their beginning and end.
    syncs: Vec<(usize, usize)>,
    answers: usize,
    events: usize,
    /// How many other events' commits were waiting at each answer, to show that it is not by chance.
    disorders: Vec<String>,
}

impl Order {
    fn take(&mut self, call: &Call) {
        if call.target.ends_with("-wal") {
            match call.name.as_str() {
                "pwrite64" => self.write(call),
                "fsync" | "fdatasync" if call.result == 0 => {
                    self.syncs.push((call.began, call.returned));
                }
                _ => {}
            }
        } else if call.target.starts_with("TCP:") {
            match call.name.as_str() {
                "read" | "readv" | "recvfrom" | "recvmsg" => self.request(call),
                _ => self.answer(call),
            }
        }
    }

    fn write(&mut self, call: &Call) {
        if call.bytes.len() == FRAME_HEADER_BYTES {
            // After the page's number comes the size of the database, in a transaction's last frame.
            self.is_commit = call.bytes[4..8] != [0; 4];
            return;
        }
        self.writing.extend(ids(&call.bytes));
        if self.is_commit {
            for id in self.writing.drain(..) {
                self.written.entry(id).or_insert(call.returned);
            }
            self.is_commit = false;
        }
    }

    fn request(&mut self, call: &Call) {
        let asked = self.asked.entry(call.target.clone()).or_default();
        asked.extend(ids(&call.bytes));
    }

    fn answer(&mut self, call: &Call) {
        let is_success = [&b"HTTP/1.1 200"[..], b"HTTP/1.1 201"]
            .iter()
            .any(|s| call.bytes.starts_with(s));
        let Some(asked) = self.asked.remove(&call.target) else {
            return;
        };
        if !is_success || asked.is_empty() {
            return;
        }
        self.answers += 1;
        for id in asked {
            self.events += 1;
            if !self.is_durable(&id, call.began) {
                let id = String::from_utf8_lossy(&id).into_owned();
                self.disorders
                    .push(format!("{id} was acknowledged before it was durable"));
            }
        }
    }

    fn is_durable(&self, id: &[u8], before: usize) -> bool {
        let Some(written) = self.written.get(id) else {
            return false;
        };
        let sync = self.syncs.partition_point(|(began, _)| began <= written);
        self.syncs[sync..]
            .iter()
            .any(|(_, returned)| *returned < before)
    }

    fn report(self, findings: &mut Findings) {
        findings.figure(
            "answers, events, syncs of the log",
            format!("{}, {}, {}", self.answers, self.events, self.syncs.len()),
        );
        let ordered = self.events - self.disorders.len();
        let percent = 100.0 * ordered as f64 / self.events.max(1) as f64;
        findings.figure(
            "durable before they were acknowledged",
            format!("{percent:.1} %"),
        );
        findings.check(self.answers >= ANSWERS_MIN, || {
            format!("only {} answers were seen", self.answers)
        });
        findings.faults(self.disorders);
    }
}

/// The ids in some bytes.
fn ids(bytes: &[u8]) -> Vec<Vec<u8>> {
    let starts = bytes
        .windows(ID_START.len())
        .enumerate()
        .filter(|(_, part)| *part == ID_START);
    let id = |(start, _): (usize, &[u8])| {
        let rest = &bytes[start..(start + 32).min(bytes.len())];
        let end = rest.iter().position(|byte| *byte == ID_END)?;
        Some(rest[..=end].to_vec())
    };
    starts.filter_map(id).collect()
}
