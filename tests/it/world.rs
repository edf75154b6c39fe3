//! A ledger beside its model, with a clock that is moved by hand and apps that follow: every answer
//! and every screen is compared at once.

use std::{collections::BTreeMap, path::PathBuf};

use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use serde_json::{Value, json};
use tallycast::{
    Account, Clock, ClockHand, Event, Feed, Invalid, Ledger, Memory, Message, Mode, Outcome,
    ProfileChange, Receipt, Sqlite, SubscribeOptions, Subscription,
};

use super::model::{Answer, Content, Model, ModelEntry};

pub(super) const ACCOUNTS: &[&str] = &["alice", "b \"ö\" \\"];
/// The contract's bound of a feed message.
pub(super) const MESSAGE_BYTES_MAX: usize = 256 * 1024;

#[derive(Debug, Clone, Copy)]
pub(super) enum Backend {
    Memory,
    Sqlite,
}

/// What is appended: the account's index, the key, and the event as sent and as read.
pub(super) type Item = (usize, (String, String), Content, Result<Event, Invalid>);

pub(super) struct World {
    folder: tempfile::TempDir,
    memory: Option<Memory>,
    feed: Feed,
    clock: Clock,
    hand: ClockHand,
    /// Where the hand points, in milliseconds.
    time: i64,
    /// The instant of the last commit, in milliseconds.
    committed: i64,
    models: Vec<Model>,
    /// When each account moved last.
    moved: Vec<Timestamp>,
    /// The first receipt of each event.
    receipts: BTreeMap<(usize, (String, String)), Receipt>,
    phones: Vec<Phone>,
}

impl World {
    /// Near the end of a month, in summer time of the northern half.
    pub(super) const BEGIN: Timestamp = Timestamp::constant(1_793_404_801, 0);

    pub(super) fn new(backend: Backend) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let memory = matches!(backend, Backend::Memory).then(Memory::new);
        let (clock, hand) = Clock::by_hand(Self::BEGIN);
        let feed = start(memory.as_ref(), folder.path().join("ledger.db"), &clock);
        let committed = i64::MIN;
        let models = ACCOUNTS.iter().map(|_| Model::new()).collect();
        let phones = ACCOUNTS.iter().map(|_| Phone::default()).collect();
        let receipts = BTreeMap::new();
        Self {
            folder,
            memory,
            feed,
            clock,
            hand,
            time: Self::BEGIN.as_millisecond(),
            committed,
            models,
            moved: vec![Self::BEGIN; ACCOUNTS.len()],
            receipts,
            phones,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        let now = self.time.max(self.committed);
        Timestamp::from_millisecond(now).unwrap()
    }

    pub(super) fn wait(&mut self, seconds: i64) {
        self.time += seconds * 1_000;
        self.hand.advance(SignedDuration::from_secs(seconds));
    }

    pub(super) async fn append(&mut self, items: Vec<Item>) {
        let now = self.now();
        let events = items.iter().map(|(.., event)| event.clone()).collect();
        let outcomes = self.feed.append_all(events).await.unwrap();
        assert_eq!(outcomes.len(), items.len());
        for ((account, key, sent, _), outcome) in items.into_iter().zip(outcomes) {
            let expected = self.models[account].append(key.clone(), sent, now);
            let (answer, receipt) = told(&outcome);
            assert_eq!(answer, expected, "{key:?}: {outcome:?}");
            if let Answer::Recorded(..) = answer {
                self.committed = now.as_millisecond();
                self.moved[account] = now;
                let receipt = receipt.unwrap().clone();
                let first = self.receipts.insert((account, key), receipt);
                assert!(first.is_none(), "an event was recorded twice");
            } else if let Answer::Duplicate(..) = answer {
                let first = &self.receipts[&(account, key)];
                let again = receipt.unwrap();
                let same = |a: &Receipt| (a.offset, a.position, a.total.to_string());
                assert_eq!(
                    same(again),
                    same(first),
                    "a duplicate answers as the first time"
                );
            }
        }
        for account in 0..ACCOUNTS.len() {
            self.check_totals(account).await;
        }
    }

    pub(super) async fn set_zone(&mut self, account: usize, zone: &str) {
        let now = self.now();
        let change = ProfileChange {
            time_zone: Some(zone.to_owned()),
            ..ProfileChange::default()
        };
        let name = Account::parse(ACCOUNTS[account]).unwrap();
        let profile = self.feed.set_profile(&name, change).await.unwrap().unwrap();
        self.committed = now.as_millisecond();
        self.moved[account] = now;
        let model = &mut self.models[account];
        model.revision += 1;
        zone.clone_into(&mut model.zone);
        assert_eq!(
            (profile.time_zone.name(), profile.revision),
            (zone, model.revision)
        );
        self.check_totals(account).await;
    }

    /// The process ends and starts again. No byte of history changes.
    pub(super) async fn restart(&mut self) {
        for phone in &mut self.phones {
            phone.subscription = None;
        }
        let before = self.histories().await;
        self.feed.close().await;
        self.feed = start(
            self.memory.as_ref(),
            self.folder.path().join("ledger.db"),
            &self.clock,
        );
        assert_eq!(self.histories().await, before);
    }

    pub(super) fn connect(&mut self, account: usize, mode: Mode) {
        let name = Account::parse(ACCOUNTS[account]).unwrap();
        let phone = &mut self.phones[account];
        let after = phone.position.clone();
        let options = SubscribeOptions {
            after,
            mode,
            ..SubscribeOptions::default()
        };
        phone.subscription = Some(self.feed.subscribe(name, options));
        phone.is_live = false;
        phone.mode = mode;
    }

    pub(super) fn disconnect(&mut self, account: usize) {
        self.phones[account].subscription = None;
    }

    /// The app takes `count` messages, or all that there are.
    pub(super) async fn read(&mut self, account: usize, count: usize) {
        for _ in 0..count {
            let model = &self.models[account];
            let phone = &mut self.phones[account];
            if !phone.lacks(model) {
                break;
            }
            let Some(subscription) = &mut phone.subscription else {
                return;
            };
            let message = subscription.next().await.unwrap();
            subscription.applied(&message);
            phone.apply(&message, model);
        }
        self.check_screen(account);
    }

    pub(super) async fn snapshot(&self, account: usize) -> Value {
        let name = Account::parse(ACCOUNTS[account]).unwrap();
        let message = self.feed.snapshot(&name, Feed::RECENT_MAX).await.unwrap();
        serde_json::from_str(message.json().get()).unwrap()
    }

    /// The screens of apps that resume, the whole histories, and the database file by itself.
    pub(super) async fn check_everything(&mut self) {
        for account in 0..ACCOUNTS.len() {
            let mode = self.phones[account].mode;
            self.connect(account, mode);
            self.read(account, usize::MAX).await;
            self.check_history(account).await;
        }
        if self.memory.is_none() {
            reconcile(&self.folder.path().join("ledger.db"), &self.models);
        }
    }

    async fn check_totals(&self, account: usize) {
        let model = &self.models[account];
        let snapshot = self.snapshot(account).await;
        assert_eq!(snapshot["offset"], model.head());
        assert_eq!(snapshot["time_zone"], *model.zone);
        assert_eq!(snapshot["totals"], model.totals(model.head(), self.now()));
    }

    /// A screen that lacks nothing shows the totals of now; or, where its day has turned since its
    /// last message, those of that day.
    fn check_screen(&self, account: usize) {
        let (model, phone) = (&self.models[account], &self.phones[account]);
        if phone.subscription.is_none() || phone.lacks(model) {
            return;
        }
        let shown: Vec<&Value> = phone.totals.values().collect();
        let instants = [self.now(), self.moved[account]];
        let instant = instants.into_iter().find(|instant| {
            let expected = model.totals(model.head(), *instant);
            expected[0]["day"]["start"]
                == shown.first().map_or(&Value::Null, |t| &t["day"])["start"]
        });
        let expected = model.totals(model.head(), instant.unwrap_or(self.now()));
        assert_eq!(
            json!(shown),
            expected,
            "the screen of {}",
            ACCOUNTS[account]
        );
    }

    async fn check_history(&self, account: usize) {
        let entries = &self.histories().await[account];
        let model = &self.models[account];
        assert_eq!(entries.len(), model.entries.len());
        for (index, (json, expected)) in entries.iter().zip(&model.entries).enumerate() {
            let entry: Value = serde_json::from_str(json).unwrap();
            check_entry(&entry, ACCOUNTS[account], index + 1, expected);
        }
    }

    /// Every account's entries, as bytes, oldest first.
    async fn histories(&self) -> Vec<Vec<String>> {
        let mut histories = Vec::new();
        for name in ACCOUNTS {
            let account = Account::parse(name).unwrap();
            let mut entries = Vec::new();
            let mut before = None;
            loop {
                let page = self.feed.history(&account, before, 7).await.unwrap();
                entries.extend(page.entries().iter().map(|entry| entry.get().to_owned()));
                before = page.next();
                if before.is_none() {
                    break;
                }
            }
            entries.reverse();
            assert_eq!(self.forwards(&account).await, entries);
            histories.push(entries);
        }
        histories
    }

    async fn forwards(&self, account: &Account) -> Vec<String> {
        let mut entries = Vec::new();
        let mut after = Some(0);
        while let Some(offset) = after {
            let page = self.feed.history_after(account, offset, 5).await.unwrap();
            entries.extend(page.entries().iter().map(|entry| entry.get().to_owned()));
            after = page.next();
        }
        entries
    }
}

fn start(memory: Option<&Memory>, path: PathBuf, clock: &Clock) -> Feed {
    let sqlite = memory.is_none().then(|| Sqlite::open(path).unwrap());
    let ledger: &dyn Ledger = match (memory, &sqlite) {
        (Some(memory), _) => memory,
        (None, Some(sqlite)) => sqlite,
        (None, None) => unreachable!("one of the two"),
    };
    Feed::start_at(ledger, clock.clone()).unwrap()
}

fn told(outcome: &Outcome) -> (Answer, Option<&Receipt>) {
    match outcome {
        Outcome::Recorded(receipt) => (
            Answer::Recorded(receipt.offset, receipt.total.to_string()),
            Some(receipt),
        ),
        Outcome::Duplicate(receipt) => (
            Answer::Duplicate(receipt.offset, receipt.total.to_string()),
            Some(receipt),
        ),
        Outcome::Conflict(_) => (Answer::Conflict, None),
        Outcome::Rejected(invalid) => (Answer::Rejected(invalid.code()), None),
        other => panic!("{other:?} is new"),
    }
}

fn check_entry(entry: &Value, account: &str, offset: usize, expected: &ModelEntry) {
    let sent = &expected.sent;
    let instant = |field: &str| entry[field].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert_eq!(instant("time"), expected.happened);
    assert_eq!(instant("recorded_at"), expected.recorded);
    let mut wanted = json!({
        "offset": offset, "id": expected.key.1, "account": account, "kind": sent.kind,
        "amount": expected.amount.print(), "unit": expected.pair.1, "meter": expected.pair.0,
        "total": expected.total, "time": entry["time"], "recorded_at": entry["recorded_at"],
    });
    let mut optional = |field: &str, value: Option<Value>| {
        if let Some(value) = value {
            wanted[field] = value;
        }
    };
    optional(
        "source",
        (!expected.key.0.is_empty()).then(|| json!(expected.key.0)),
    );
    optional(
        "category",
        expected.category.as_ref().map(|text| json!(text)),
    );
    optional(
        "description",
        sent.description.as_ref().map(|text| json!(text)),
    );
    optional(
        "attributes",
        (!sent.attributes.is_empty()).then(|| json!(sent.attributes)),
    );
    optional(
        "reverses",
        sent.reverses
            .as_ref()
            .map(|(source, id)| match *source == expected.key.0 {
                true => json!(id),
                false => json!({ "source": source, "id": id }),
            }),
    );
    assert_eq!(*entry, wanted);
}

/// An app as the contract wants it at the least: it knows `snapshot` and `update`.
#[derive(Default)]
struct Phone {
    subscription: Option<Subscription>,
    mode: Mode,
    position: Option<String>,
    is_live: bool,
    offset: u64,
    revision: Option<u32>,
    totals: BTreeMap<(String, String), Value>,
    entries: BTreeMap<u64, Value>,
}

impl Phone {
    fn lacks(&self, model: &Model) -> bool {
        !self.is_live || self.offset < model.head() || self.revision != Some(model.revision)
    }

    fn apply(&mut self, message: &Message, model: &Model) {
        let json = message.json().get();
        assert!(
            json.len() <= MESSAGE_BYTES_MAX,
            "a message of {} bytes",
            json.len()
        );
        let json: Value = serde_json::from_str(json).unwrap();
        assert_eq!(json["type"], message.name());
        assert_eq!(json["position"], message.position().to_string());
        self.position = Some(message.position().to_string());
        let number = |field: &str| json[field].as_u64().unwrap();
        match message.name() {
            "snapshot" => {
                let reason = json["reason"].as_str().unwrap();
                let expected = match self.revision {
                    None => "initial",
                    Some(_) => "profile_changed",
                };
                assert_eq!(reason, expected, "a needless snapshot");
                self.offset = number("offset");
                self.revision = Some(model.revision);
                self.totals.clear();
                self.entries.clear();
                self.show(&json["recent"]);
                self.replace(&json["totals"]);
            }
            "update" => {
                assert_eq!(number("from"), self.offset + 1, "a gap or a repeat");
                let shown = self.show(&json["entries"]);
                let merged = json["merged"].as_u64().unwrap_or(0);
                assert_eq!(shown + merged, number("to") - self.offset);
                self.check_merged(self.offset, number("to"), model);
                self.offset = number("to");
                self.replace(&json["totals"]);
            }
            "rollover" => {
                assert_eq!(number("offset"), self.offset);
                self.replace(&json["totals"]);
            }
            "live" => {
                assert_eq!(number("offset"), self.offset);
                assert!(!self.is_live, "told to be live twice");
                self.is_live = true;
            }
            other => panic!("{other} is new"),
        }
    }

    /// Only consumption is ever merged away, and only where the app asked for it.
    fn check_merged(&self, from: u64, to: u64, model: &Model) {
        for offset in from + 1..=to {
            let sent = &model.entries[usize::try_from(offset - 1).unwrap()].sent;
            let may_lack = self.mode == Mode::Totals && sent.kind == "consumption";
            assert!(
                may_lack || self.entries.contains_key(&offset),
                "{offset} was left out"
            );
        }
    }

    fn show(&mut self, entries: &Value) -> u64 {
        let entries = entries.as_array().unwrap();
        for entry in entries {
            self.entries
                .insert(entry["offset"].as_u64().unwrap(), entry.clone());
        }
        u64::try_from(entries.len()).unwrap()
    }

    fn replace(&mut self, totals: &Value) {
        for pair in totals.as_array().into_iter().flatten() {
            let text = |field: &str| pair[field].as_str().unwrap().to_owned();
            self.totals
                .insert((text("meter"), text("unit")), pair.clone());
        }
    }
}

/// Adds up the database file in SQL alone, and compares with what it says of itself and with the model.
fn reconcile(path: &PathBuf, models: &[Model]) {
    /// Amounts as whole parts and as 10⁻⁹, which 64 bits hold apart.
    const SPLIT: &str = "
        CREATE TEMP VIEW term AS
        WITH text AS (
            SELECT a.name, e.offset, e.count, e.json ->> 'meter' AS meter, e.json ->> 'unit' AS unit,
                   e.json ->> 'total' AS total, ltrim(e.json ->> 'amount', '-') AS size,
                   iif(e.json ->> 'amount' LIKE '-%', -1, 1) AS sign
            FROM entry e JOIN account a ON a.number = e.account
        )
        SELECT name, offset, count, meter, unit, total,
               sign * CAST(size AS INTEGER) AS whole,
               sign * iif(instr(size, '.'),
                          CAST(substr(substr(size, instr(size, '.') + 1) || '000000000', 1, 9) AS INTEGER),
                          0) AS nanos
        FROM text;
        CREATE TEMP VIEW summed AS
        SELECT name, meter, unit, sum(whole) AS whole, sum(nanos) AS nanos, sum(count) AS count,
               max(offset) AS last
        FROM term GROUP BY name, meter, unit;
        CREATE TEMP VIEW told AS
        SELECT a.name, p.value ->> 'meter' AS meter, p.value ->> 'unit' AS unit,
               p.value ->> '$.all.amount' AS amount, p.value ->> '$.all.count' AS count
        FROM account a, json_each(a.state, '$.pairs') p;";
    /// Sums that their account's state, or the `total` of their last entry, does not repeat.
    const DIFFERENT: &str = "
        SELECT count(*) FROM summed s
        JOIN term t ON t.name = s.name AND t.offset = s.last
        LEFT JOIN told o ON o.name = s.name AND o.meter = s.meter AND o.unit = s.unit
        WHERE o.count IS NOT s.count OR o.amount IS NOT t.total
           OR s.whole + s.nanos / 1000000000 - (s.nanos % 1000000000 < 0)
              IS NOT CAST(ltrim(t.total, '-') AS INTEGER) * iif(t.total LIKE '-%', -1, 1)
                     - (t.total LIKE '-%' AND trim(substr(t.total, instr(t.total || '.', '.')), '.0') <> '')";
    const GAPS: &str = "
        SELECT count(*) FROM (SELECT count(*) AS held, min(offset) AS first, max(offset) AS last
                              FROM entry GROUP BY account)
        WHERE first <> 1 OR last <> held";
    let database = Connection::open(path).unwrap();
    database.execute_batch(SPLIT).unwrap();
    let count = |sql: &str| {
        database
            .query_row(sql, (), |row| row.get::<_, i64>(0))
            .unwrap()
    };
    assert_eq!(count(DIFFERENT), 0, "SQL adds up to other totals");
    assert_eq!(count(GAPS), 0, "offsets have gaps");
    assert_eq!(
        count("SELECT count(*) FROM summed"),
        count("SELECT count(*) FROM told")
    );
    let entries: usize = models.iter().map(|model| model.entries.len()).sum();
    assert_eq!(
        count("SELECT count(*) FROM entry"),
        i64::try_from(entries).unwrap()
    );
    for (name, model) in ACCOUNTS.iter().zip(models) {
        for entry in &model.entries {
            let sql = "SELECT total FROM term WHERE name = ?1 AND meter = ?2 AND unit = ?3
                       ORDER BY offset DESC LIMIT 1";
            let (meter, unit) = &entry.pair;
            let last = database.query_row(sql, (name, meter, unit), |row| row.get::<_, String>(0));
            let told = model.entries.iter().rfind(|other| other.pair == entry.pair);
            assert_eq!(last.unwrap(), told.unwrap().total);
        }
    }
    let sound: String = database
        .query_row("PRAGMA integrity_check", (), |row| row.get(0))
        .unwrap();
    assert_eq!(sound, "ok");
}
