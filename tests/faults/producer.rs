use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use super::{
    database_file::amount_of,
    http::{self, Http},
    oracle::{Oracle, Outcome, Watched, Whereabouts},
    random::Random,
    token,
};

/// The pause before an event is sent again to a server that is down.
const RETRY_PAUSE: Duration = Duration::from_millis(20);
/// How long an event may stay without an outcome once the server is back.
const SETTLE_MAX: Duration = Duration::from_secs(30);

/// Sends events one after another, each until it is settled.
pub(crate) struct Producer {
    pub(crate) name: String,
    pub(crate) accounts: Vec<Watched>,
    pub(crate) oracle: Oracle,
    pub(crate) random: Random,
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
    /// Produces until `stop` is set and everything is settled.
    pub(crate) async fn run(mut self, stop: watch::Receiver<bool>) {
        let mut connection = None;
        let mut number = 0;
        let mut last: Option<Vec<Intent>> = None;
        while !*stop.borrow() {
            let repeat = last.take().filter(|_| self.random.one_in(20));
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
        let count = if self.batch > 1 && self.random.one_in(2) {
            1 + self.random.below(self.batch)
        } else {
            1
        };
        let mut one = || {
            *number += 1;
            let account = self.random.below(self.accounts.len() as u64);
            Intent {
                id: format!("{}-{number:06}-x", self.name),
                account: self.accounts[usize::try_from(account).unwrap()].clone(),
                amount: 1 + i64::try_from(self.random.below(99_999)).unwrap(),
                padding: self.padding,
            }
        };
        (0..count).map(|_| one()).collect()
    }

    /// Sends these events until all have an outcome; false if one never gets one.
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
        // A commit whose outcome the server does not know, or could not learn.
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

/// An event that will be sent until its outcome is known.
#[derive(Debug, Clone)]
pub(crate) struct Intent {
    pub(crate) id: String,
    pub(crate) account: Watched,
    pub(crate) amount: i64,
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
