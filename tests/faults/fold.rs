//! A client's state: it applies messages and checks them strictly.

use serde_json::Value;

use super::{
    database_file::{StoredEntries, hundredths},
    findings::Findings,
    oracle::Watched,
};

/// An entry that a client received.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    offset: u64,
    id: String,
    amount: i64,
}

/// One client's view of one account, from the account's first entry on.
#[derive(Debug)]
pub(crate) struct Fold {
    who: String,
    pub(crate) account: Watched,
    /// Stored by the client for the next connection.
    pub(crate) position: Option<String>,
    pub(crate) offset: u64,
    entries: Vec<Seen>,
    total: i64,
    pub(crate) messages: u64,
    pub(crate) sessions: u64,
    /// The codes of `closing` messages.
    pub(crate) closings: Vec<String>,
    faults: Vec<String>,
}

impl Fold {
    pub(crate) fn new(who: String, account: Watched) -> Self {
        Self {
            who,
            account,
            position: None,
            offset: 0,
            entries: Vec::new(),
            total: 0,
            messages: 0,
            sessions: 0,
            closings: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Looks for another account's marker in raw bytes from the server.
    pub(crate) fn watch(&self, bytes: &[u8]) {
        self.account.canary.watch(&self.who, bytes);
    }

    pub(crate) fn fault(&mut self, fault: impl AsRef<str>) {
        self.faults
            .push(format!("{}: {}", self.who, fault.as_ref()));
    }

    /// Applies a feed message, then stores its position.
    pub(crate) fn apply(&mut self, message: &Value) {
        self.messages += 1;
        if message["account"]
            .as_str()
            .is_some_and(|account| account != self.account.name)
        {
            self.fault(format!("a message of {}", message["account"]));
        }
        match message["type"].as_str() {
            Some("snapshot") => self.snapshot(message),
            Some("update") => self.update(message),
            Some("live" | "rollover") => self.at_head(message),
            Some("closing") => {
                let code = message["code"].as_str().unwrap_or_default();
                return self.closings.push(code.to_owned());
            }
            _ => self.fault(format!("an unknown message: {message}")),
        }
        match message["position"].as_str() {
            Some(position) => self.position = Some(position.to_owned()),
            None => self.fault(format!("a message without a position: {message}")),
        }
    }

    /// All clients here begin before the first event and store their position, so only the first
    /// snapshot is needed.
    fn snapshot(&mut self, message: &Value) {
        if self.position.is_some() {
            let reason = &message["reason"];
            self.fault(format!("a needless snapshot at {}: {reason}", self.offset));
            self.entries.clear();
        }
        self.offset = message["offset"].as_u64().unwrap_or(u64::MAX);
        if self.offset != 0 {
            self.fault(format!("it began at {}", self.offset));
        }
    }

    fn update(&mut self, message: &Value) {
        let (from, to) = (message["from"].as_u64(), message["to"].as_u64());
        let (Some(from), Some(to)) = (from, to) else {
            return self.fault(format!("an update without from or to: {message}"));
        };
        let expected = self.offset + 1;
        if from != expected {
            let what = if from > expected { "a gap" } else { "a repeat" };
            self.fault(format!(
                "{what}: an update from {from} where {expected} was next"
            ));
        }
        let entries = message["entries"].as_array().map_or(&[][..], Vec::as_slice);
        if entries.len() as u64 != (to + 1).saturating_sub(from) {
            self.fault(format!("{} entries from {from} to {to}", entries.len()));
        }
        for (entry, offset) in entries.iter().zip(from..) {
            self.entry(entry, offset);
        }
        self.offset = to;
        if let Some(totals) = message.get("totals") {
            self.compare_totals(totals);
        }
    }

    fn entry(&mut self, entry: &Value, offset: u64) {
        if entry["offset"].as_u64() != Some(offset) {
            self.fault(format!("the entry {} stands at {offset}", entry["offset"]));
        }
        let seen = Seen {
            offset,
            id: entry["id"].as_str().unwrap_or_default().to_owned(),
            amount: entry["amount"].as_str().map_or(0, hundredths),
        };
        self.total += seen.amount;
        self.entries.push(seen);
    }

    fn at_head(&mut self, message: &Value) {
        let offset = message["offset"].as_u64();
        if offset != Some(self.offset) {
            let kind = &message["type"];
            self.fault(format!(
                "{kind} at {offset:?} while it is at {}",
                self.offset
            ));
        }
    }

    fn compare_totals(&mut self, totals: &Value) {
        let all = &totals[0]["all"];
        let amount = all["amount"].as_str().map(hundredths);
        let count = all["count"].as_u64();
        if amount != Some(self.total) || count != Some(self.entries.len() as u64) {
            let (count, total) = (self.entries.len(), self.total);
            self.fault(format!(
                "totals {all} at {}: {count} entries sum to {total}",
                self.offset
            ));
        }
    }

    /// Compares what this client saw with the file, up to its last entry.
    pub(crate) fn compare(&self, stored: &StoredEntries, findings: &mut Findings) {
        findings.faults(self.faults.iter().cloned());
        let rows = stored.rows(&self.account.name);
        if self.entries.len() as u64 != self.offset || rows.len() < self.entries.len() {
            let (seen, stored) = (self.entries.len(), rows.len());
            findings.fault(format!(
                "{}: at {} it saw {seen} entries, the ledger has {stored}",
                self.who, self.offset
            ));
        }
        let differs = self.entries.iter().zip(rows).find(|(seen, row)| {
            seen.offset != row.offset || seen.id != row.id || seen.amount != row.amount
        });
        if let Some((seen, row)) = differs {
            findings.fault(format!(
                "{}: saw {seen:?}, the ledger has {row:?}",
                self.who
            ));
        }
    }
}
