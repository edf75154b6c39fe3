//! The answers that producers got, recorded independently of the server.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::File,
    io::Write as _,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
};

use tokio::sync::watch;

use super::{
    database_file::StoredEntries,
    findings::{Canary, Findings},
    producer::Intent,
    random::Random,
};

/// The server's address, while it runs.
pub(crate) type Whereabouts = watch::Receiver<Option<SocketAddr>>;

/// An account of the experiment.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    pub(crate) name: String,
    pub(crate) canary: Canary,
}

impl Watched {
    pub(crate) fn some(count: u64, random: &mut Random) -> Vec<Self> {
        let one = |number| Self {
            name: format!("account-{number}"),
            canary: Canary::new(random.draw()),
        };
        (0..count).map(one).collect()
    }
}

#[derive(Debug, Clone, Copy)]
struct Settled {
    offset: u64,
    amount: i64,
}

/// The outcome of one attempt to send one event.
pub(crate) enum Outcome {
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

/// Records what was sent and what was answered, in memory and in a log.
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

    pub(crate) fn intend(&self, intents: &[Intent]) {
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

    /// Records an outcome; returns whether it is settled. `was_unknown`: an earlier attempt had no answer.
    pub(crate) fn note(&self, intent: &Intent, outcome: Outcome, was_unknown: &mut bool) -> bool {
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

    pub(crate) fn fault(&self, fault: String) {
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

    /// Checks that everything acknowledged is in the ledger, at its offset and with its amount.
    pub(crate) fn compare(&self, stored: &StoredEntries, findings: &mut Findings) {
        let known = self.0.lock().unwrap();
        findings.faults(known.faults.iter().cloned());
        let mut lost = 0;
        for ((account, id), settled) in &known.settled {
            let index = usize::try_from(settled.offset).unwrap().wrapping_sub(1);
            let row = stored.rows(account).get(index);
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
        findings.figure("entries in the ledger", stored.len());
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
