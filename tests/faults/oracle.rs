//! Producers, and the oracle that knows what they were told.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::File,
    io::Write as _,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use super::{
    dice::Dice,
    findings::{Canary, Findings},
    http::{self, Http},
    token,
    truth::{Truth, amount_of},
};

/// A pause before an event is sent again to a server that is not there.
const RETRY_PAUSE: Duration = Duration::from_millis(20);
/// How long an event may stay without an outcome once the server is back.
const SETTLE_MAX: Duration = Duration::from_secs(30);

/// Where the server is, if it is.
pub(crate) type Whereabouts = watch::Receiver<Option<SocketAddr>>;

/// An account of the experiment.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    pub(crate) name: String,
    pub(crate) canary: Canary,
}

impl Watched {
    pub(crate) fn some(count: u64, dice: &mut Dice) -> Vec<Self> {
        let one = |number| Self {
            name: format!("account-{number}"),
            canary: Canary::new(dice.roll()),
        };
        (0..count).map(one).collect()
    }
}

/// An event that will be sent until its outcome is known.
#[derive(Debug, Clone)]
struct Intent {
    id: String,
    account: Watched,
    amount: i64,
    padding: usize,
}

impl Intent {
    fn json(&self) -> Value {
        let mut description = self.account.canary.marker().to_owned();
        description.extend(std::iter::repeat_n('.', self.padding.min(400)));
        let mut event = json!({
            "id": self.id, "source": "faults", "account": self.account.name,
            "amount": amount_of(self.amount), "unit": "CNY", "description": description,
        });
        if self.padding > 400 {
            let attributes = (0..self.padding / 256).take(15);
            event["attributes"] = attributes
                .map(|n| (format!("a{n}"), "x".repeat(256)))
                .collect();
        }
        event
    }
}

#[derive(Debug, Clone, Copy)]
struct Settled {
    offset: u64,
    amount: i64,
}

/// What became of one attempt to send one event.
enum Outcome {
    Settled { offset: u64, is_duplicate: bool },
    Failed(String),
    Unknown(String),
}

#[derive(Default)]
struct Known {
    log: Option<File>,
    settled: BTreeMap<(String, String), Settled>,
    unknown: u64,
    unknown_recorded: u64,
    failed: u64,
    repeated: u64,
    faults: Vec<String>,
}

/// Keeps what was intended and what was answered, in memory and in a log.
#[derive(Clone)]
pub(crate) struct Oracle(Arc<Mutex<Known>>);

impl Oracle {
    /// Logs to `path`: the intent before it is sent, the outcome after.
    pub(crate) fn new(path: &Path) -> Self {
        let known = Known {
            log: Some(File::create(path).unwrap()),
            ..Known::default()
        };
        Self(Arc::new(Mutex::new(known)))
    }

    fn intend(&self, intents: &[Intent]) {
        let mut lines = String::new();
        for intent in intents {
            let (id, account) = (&intent.id, &intent.account.name);
            writeln!(lines, "intend {account} {id} {}", intent.amount).unwrap();
        }
        self.log(&lines);
    }

    fn log(&self, lines: &str) {
        let mut known = self.0.lock().unwrap();
        known
            .log
            .as_mut()
            .unwrap()
            .write_all(lines.as_bytes())
            .unwrap();
    }

    /// Notes an outcome; whether it is settled. `was_unknown`: an earlier attempt had no answer.
    fn note(&self, intent: &Intent, outcome: Outcome, was_unknown: &mut bool) -> bool {
        let (account, id) = (&intent.account.name, &intent.id);
        let mut known = self.0.lock().unwrap();
        let (line, is_settled) = match outcome {
            Outcome::Settled {
                offset,
                is_duplicate,
            } => {
                known.settle(intent, offset, is_duplicate, *was_unknown);
                (
                    format!("ok {account} {id} {offset} duplicate={is_duplicate}\n"),
                    true,
                )
            }
            Outcome::Failed(why) => {
                known.failed += 1;
                (format!("fail {account} {id} {why}\n"), false)
            }
            Outcome::Unknown(why) => {
                known.unknown += u64::from(!*was_unknown);
                *was_unknown = true;
                (format!("unknown {account} {id} {why}\n"), false)
            }
        };
        known
            .log
            .as_mut()
            .unwrap()
            .write_all(line.as_bytes())
            .unwrap();
        is_settled
    }

    fn fault(&self, fault: String) {
        self.0.lock().unwrap().faults.push(fault);
    }

    /// The highest acknowledged offset of each account.
    pub(crate) fn heads(&self) -> BTreeMap<String, u64> {
        let mut heads = BTreeMap::new();
        for ((account, _), settled) in &self.0.lock().unwrap().settled {
            let head = heads.entry(account.clone()).or_default();
            *head = settled.offset.max(*head);
        }
        heads
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.0.lock().unwrap().settled.len()
    }

    /// Everything acknowledged is in the ledger, where it was said to be, with its amount.
    pub(crate) fn compare(&self, truth: &Truth, findings: &mut Findings) {
        let known = self.0.lock().unwrap();
        findings.faults(known.faults.iter().cloned());
        let mut lost = 0;
        for ((account, id), settled) in &known.settled {
            let index = usize::try_from(settled.offset).unwrap().wrapping_sub(1);
            let row = truth.rows(account).get(index);
            if row.is_some_and(|row| row.id == *id && row.amount == settled.amount) {
                continue;
            }
            lost += 1;
            findings.fault(format!(
                "acknowledged and lost: {account} {id} at {}, there is {row:?}",
                settled.offset
            ));
        }
        findings.figure("acknowledged events", known.settled.len());
        findings.figure("acknowledged and lost", lost);
        findings.figure("entries in the ledger", truth.len());
        if known.unknown > 0 {
            let recorded = known.unknown_recorded;
            let figure = format!("{} ({recorded} had been recorded)", known.unknown);
            findings.figure("unknown outcomes, all settled by a retry", figure);
        }
        if known.repeated > 0 {
            findings.figure("acknowledged ones sent again, same answer", known.repeated);
        }
    }
}

impl Known {
    fn settle(&mut self, intent: &Intent, offset: u64, is_duplicate: bool, was_unknown: bool) {
        let settled = Settled {
            offset,
            amount: intent.amount,
        };
        let key = (intent.account.name.clone(), intent.id.clone());
        if let Some(first) = self.settled.insert(key, settled) {
            self.repeated += 1;
            if first.offset != offset || !is_duplicate {
                let (id, first) = (&intent.id, first.offset);
                self.faults.push(format!(
                    "{id} was {first}, sent again it is {offset}, duplicate: {is_duplicate}"
                ));
            }
            return;
        }
        if is_duplicate && !was_unknown {
            self.faults
                .push(format!("{} was a duplicate the first time", intent.id));
        }
        self.unknown_recorded += u64::from(was_unknown && is_duplicate);
    }
}

/// Sends events one after another, each until it is settled.
pub(crate) struct Producer {
    pub(crate) name: String,
    pub(crate) accounts: Vec<Watched>,
    pub(crate) oracle: Oracle,
    pub(crate) dice: Dice,
    pub(crate) server: Whereabouts,
    pub(crate) from: IpAddr,
    /// The most events of one request.
    pub(crate) batch: u64,
    /// Between two requests.
    pub(crate) pause: Duration,
    /// Bytes of ballast in an event.
    pub(crate) padding: usize,
}

impl Producer {
    /// Produces until `stop` says so and everything is settled.
    pub(crate) async fn run(mut self, stop: watch::Receiver<bool>) {
        let mut connection = None;
        let mut number = 0;
        let mut last: Option<Vec<Intent>> = None;
        while !*stop.borrow() {
            let repeat = last.take().filter(|_| self.dice.one_in(20));
            let intents = repeat.unwrap_or_else(|| self.intents(&mut number));
            if !self.settle(&intents, &mut connection).await {
                return;
            }
            last = Some(intents);
            if !self.pause.is_zero() {
                sleep(self.pause).await;
            }
        }
    }

    fn intents(&mut self, number: &mut u64) -> Vec<Intent> {
        let count = if self.batch > 1 && self.dice.one_in(2) {
            1 + self.dice.below(self.batch)
        } else {
            1
        };
        let mut one = || {
            *number += 1;
            let account = self.dice.below(self.accounts.len() as u64);
            Intent {
                id: format!("{}-{number:06}-x", self.name),
                account: self.accounts[usize::try_from(account).unwrap()].clone(),
                amount: 1 + i64::try_from(self.dice.below(99_999)).unwrap(),
                padding: self.padding,
            }
        };
        (0..count).map(|_| one()).collect()
    }

    /// Sends these events until all have an outcome; false if that never comes.
    async fn settle(&mut self, intents: &[Intent], connection: &mut Option<Http>) -> bool {
        self.oracle.intend(intents);
        let mut unknown = vec![false; intents.len()];
        let mut since = Instant::now();
        loop {
            let Some(server) = *self.server.borrow_and_update() else {
                *connection = None;
                if self.server.changed().await.is_err() {
                    self.oracle
                        .fault(format!("{} never settled", intents[0].id));
                    return false;
                }
                since = Instant::now();
                continue;
            };
            let outcomes = self.send(intents, server, connection).await;
            let settled = intents.iter().zip(outcomes).zip(&mut unknown);
            let settled: Vec<bool> = settled
                .map(|((intent, outcome), unknown)| self.oracle.note(intent, outcome, unknown))
                .collect();
            if settled.iter().all(|settled| *settled) {
                return true;
            }
            if since.elapsed() > SETTLE_MAX {
                self.oracle
                    .fault(format!("{} did not settle", intents[0].id));
                return false;
            }
            sleep(RETRY_PAUSE).await;
        }
    }

    async fn send(
        &self,
        intents: &[Intent],
        server: SocketAddr,
        connection: &mut Option<Http>,
    ) -> Vec<Outcome> {
        let http = match connection {
            Some(http) => http,
            None => match Http::connect(server, self.from, &token::producer()).await {
                Ok(http) => connection.insert(http),
                // Nothing was sent.
                Err(error) => return all(intents, || Outcome::Failed(error.to_string())),
            },
        };
        let body = match intents {
            [one] => one.json(),
            many => many.iter().map(Intent::json).collect(),
        };
        let answer = http
            .post(
                "/v1/events",
                "application/json",
                body.to_string().as_bytes(),
            )
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                *connection = None;
                return all(intents, || Outcome::Unknown(error.to_string()));
            }
        };
        if answer.header("connection") == Some("close") {
            *connection = None;
        }
        outcomes(&answer, intents)
    }
}

fn all(intents: &[Intent], outcome: impl Fn() -> Outcome) -> Vec<Outcome> {
    intents.iter().map(|_| outcome()).collect()
}

fn outcomes(answer: &http::Answer, intents: &[Intent]) -> Vec<Outcome> {
    let body = answer.json();
    if !matches!(answer.status, 200 | 201) {
        let why = format!("{} {}", answer.status, body["code"]);
        // A commit whose outcome the server does not know, or did not get to know.
        let is_unknown = answer.status == 503;
        return all(intents, || match is_unknown {
            true => Outcome::Unknown(why.clone()),
            false => Outcome::Failed(why.clone()),
        });
    }
    let results = match body["results"].as_array() {
        Some(results) => results.clone(),
        None => vec![body],
    };
    let outcome = |result: &Value| match (result["status"].as_str(), result["offset"].as_u64()) {
        (Some("recorded"), Some(offset)) => Outcome::Settled {
            offset,
            is_duplicate: false,
        },
        (Some("duplicate"), Some(offset)) => Outcome::Settled {
            offset,
            is_duplicate: true,
        },
        _ => Outcome::Failed(result.to_string()),
    };
    results.iter().map(outcome).collect()
}
