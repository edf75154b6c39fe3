//! A ledger and its model, with a manual clock and subscribers: every answer and every message is
//! compared at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tallycast::{
    Account, Event, Feed, Invalid, Memory, Outcome, Receipt, Sqlite, SubscribeOptions,
    domain::{Budget, Period, ProfileChange},
    feed::{Clock, ManualClock, Mode},
    ledger::Ledger,
};

use crate::support::model::{
    Answer, Content, Model,
    budgets::ModelBudget,
    sql_checks::{check_erased, reconcile},
    subscriber::CheckedSubscriber,
};

pub(crate) const ACCOUNTS: &[&str] = &["alice", "b \"ö\" \\"];
#[derive(Debug, Clone, Copy)]
pub(crate) enum Backend {
    Memory,
    Sqlite,
}

/// What is appended: the account's index, the key, and the event as sent and as read.
pub(crate) type Item = (usize, (String, String), Content, Result<Event, Invalid>);

pub(crate) struct ModelHarness {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) memory: Option<Memory>,
    pub(crate) feed: Feed,
    clock: Clock,
    hand: ManualClock,
    /// The clock's time, in milliseconds.
    time: i64,
    /// The instant of the last commit, in milliseconds.
    committed: i64,
    /// The last instant of a possible unreported commit: a refused event may still finish past days.
    refused: i64,
    pub(crate) models: Vec<Model>,
    /// The past days of each account, as last read.
    pub(crate) pasts: Vec<Vec<Value>>,
    /// The first receipt of each event.
    receipts: BTreeMap<(usize, (String, String)), Receipt>,
    pub(crate) subscribers: Vec<CheckedSubscriber>,
    /// How many accounts were created.
    generations: u32,
    /// For each account, a text that is in all of its data.
    markers: Vec<String>,
    pub(crate) erased: Vec<String>,
    /// Positions of accounts that were erased.
    pub(crate) gone: Vec<(usize, String)>,
}

impl ModelHarness {
    /// Near the end of a month, in summer time of the northern hemisphere.
    pub(crate) const BEGIN: Timestamp = Timestamp::constant(1_793_404_801, 0);

    pub(crate) fn new(backend: Backend) -> Self {
        Self::new_at(backend, Self::BEGIN)
    }

    pub(crate) fn new_at(backend: Backend, begin: Timestamp) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let memory = matches!(backend, Backend::Memory).then(Memory::new);
        let (clock, hand) = Clock::manual(begin);
        let feed = start(memory.as_ref(), folder.path().join("ledger.db"), &clock);
        Self {
            folder,
            memory,
            feed,
            clock,
            hand,
            time: begin.as_millisecond(),
            committed: i64::MIN,
            refused: i64::MIN,
            models: ACCOUNTS.iter().map(|_| Model::new()).collect(),
            pasts: ACCOUNTS.iter().map(|_| Vec::new()).collect(),
            receipts: BTreeMap::new(),
            subscribers: ACCOUNTS
                .iter()
                .map(|_| CheckedSubscriber::default())
                .collect(),
            generations: 0,
            markers: (0..ACCOUNTS.len()).map(marker).collect(),
            erased: Vec::new(),
            gone: Vec::new(),
        }
    }

    /// The feed's time: the clock's, but never before the last commit.
    pub(crate) fn now(&self) -> Timestamp {
        let now = self.feed.now();
        let least = self.time.max(self.committed);
        let possible = least..=least.max(self.refused);
        assert!(possible.contains(&now.as_millisecond()), "it is {now}");
        now
    }

    pub(crate) fn wait(&mut self, seconds: i64) {
        self.time += seconds * 1_000;
        self.hand.advance(SignedDuration::from_secs(seconds));
    }

    /// Seconds from the clock's time to the next midnight in this account's zone.
    pub(crate) fn until_midnight(&self, account: usize) -> i64 {
        let zone = crate::support::model::zone(&self.models[account].zone);
        let time = Timestamp::from_millisecond(self.time).unwrap();
        let tomorrow = zone.to_datetime(time).date().tomorrow().unwrap();
        let midnight = tomorrow.to_zoned(zone).unwrap().timestamp();
        midnight.duration_since(time).as_secs()
    }

    /// The text that is in all of this account's data until it is erased.
    pub(crate) fn marker(&self, account: usize) -> &str {
        &self.markers[account]
    }

    pub(crate) fn budgets(&self, account: usize) -> &[ModelBudget] {
        &self.models[account].budgets
    }

    pub(crate) async fn append(&mut self, items: Vec<Item>) {
        let now = self.now();
        let valid = items.iter().filter_map(|(.., event)| event.clone().ok());
        let mut appended = self
            .feed
            .append_all(valid.collect())
            .await
            .unwrap()
            .into_iter();
        let outcomes = items.iter().map(|(.., event)| match event {
            Ok(_) => appended.next().unwrap(),
            Err(invalid) => Outcome::Rejected(invalid.clone()),
        });
        let outcomes: Vec<Outcome> = outcomes.collect();
        assert!(appended.next().is_none());
        let mut moved = BTreeSet::new();
        for ((account, key, sent, _), outcome) in items.into_iter().zip(outcomes) {
            let expected = self.models[account].append(key.clone(), sent, now);
            let (answer, receipt) = told(&outcome);
            assert_eq!(answer, expected, "{key:?}: {outcome:?}");
            match answer {
                Answer::Recorded(offset, _) => {
                    self.committed = now.as_millisecond();
                    self.begin(account);
                    let model = &self.models[account];
                    let entry = &model.entries[usize::try_from(offset - 1).unwrap()];
                    let date = model.date(entry.happened).to_string();
                    moved.insert((account, date, entry.pair.clone()));
                    let receipt = receipt.unwrap().clone();
                    let first = self.receipts.insert((account, key), receipt);
                    assert!(first.is_none(), "an event was recorded twice");
                }
                Answer::Duplicate(..) => {
                    let first = &self.receipts[&(account, key)];
                    let same = |a: &Receipt| (a.offset, a.position, a.total.to_string());
                    let again = same(receipt.unwrap());
                    assert_eq!(again, same(first), "a duplicate answers as the first time");
                }
                Answer::Conflict => {}
                Answer::Rejected(_) => self.refused = now.as_millisecond(),
            }
        }
        for account in 0..ACCOUNTS.len() {
            let before = self.pasts[account].clone();
            self.check_account(account).await;
            let after = &self.pasts[account];
            let kept = |row: &&Value| !(before.contains(row) && after.contains(row));
            for row in before.iter().chain(after).filter(kept) {
                let text = |field: &str| row[field].as_str().unwrap().to_owned();
                let of = (account, text("start"), (text("meter"), text("unit")));
                assert!(moved.contains(&of), "no entry changed this: {row}");
            }
        }
    }

    /// Edits a profile: its name, zone and budgets.
    pub(crate) async fn edit(&mut self, account: usize, zone: &str, budgets: Vec<ModelBudget>) {
        let now = self.now();
        let change = ProfileChange {
            name: Some(self.marker(account).to_owned()),
            time_zone: Some(zone.to_owned()),
            budgets: budgets.iter().map(budget).collect(),
            ..ProfileChange::default()
        };
        let name = Account::parse(ACCOUNTS[account]).unwrap();
        let profile = self.feed.set_profile(&name, change).await.unwrap();
        self.committed = now.as_millisecond();
        self.begin(account);
        let model = &mut self.models[account];
        model.revision += 1;
        zone.clone_into(&mut model.zone);
        model.set_budgets(budgets);
        assert_eq!(
            (profile.time_zone.name(), profile.revision),
            (zone, model.revision)
        );
        self.check_account(account).await;
    }

    pub(crate) async fn set_budgets(&mut self, account: usize, budgets: Vec<ModelBudget>) {
        let zone = self.models[account].zone.clone();
        self.edit(account, &zone, budgets).await;
    }

    pub(crate) async fn set_zone(&mut self, account: usize, zone: &str) {
        let budgets = self.models[account].budgets.clone();
        self.edit(account, zone, budgets).await;
    }

    /// Notes a write to the account: a new account gets a new generation.
    fn begin(&mut self, account: usize) {
        let model = &mut self.models[account];
        if model.generation == 0 {
            self.generations += 1;
            model.generation = self.generations;
        }
    }

    /// Erases an account: all of its data is removed, and nothing of the others.
    pub(crate) async fn erase(&mut self, account: usize) {
        let now = self.now();
        let name = Account::parse(ACCOUNTS[account]).unwrap();
        let position = self
            .feed
            .snapshot(&name, 0)
            .await
            .unwrap()
            .position()
            .to_string();
        let mut others = self.histories().await;
        self.feed.erase(&name).await.unwrap();
        let model = std::mem::replace(&mut self.models[account], Model::new());
        if model.generation > 0 {
            self.committed = now.as_millisecond();
            let next = marker(ACCOUNTS.len() + self.erased.len());
            let erased = std::mem::replace(&mut self.markers[account], next);
            self.erased.push(erased);
        } else {
            self.refused = now.as_millisecond();
        }
        self.receipts.retain(|(of, _), _| *of != account);
        let subscriber = &mut self.subscribers[account];
        subscriber.is_erased = subscriber.subscription.is_some();
        if let Some(position) = subscriber
            .position
            .clone()
            .filter(|_| subscriber.offset > 0)
        {
            self.gone.push((account, position));
        }
        if model.head() > 0 {
            self.gone.push((account, position));
        }
        others[account].clear();
        assert_eq!(self.histories().await, others);
        if self.memory.is_none() {
            check_erased(&self.path(), ACCOUNTS[account]);
        }
        self.check_traces();
        for account in 0..ACCOUNTS.len() {
            self.check_account(account).await;
        }
        self.check_gone().await;
    }

    /// Restarts the process. No byte of history changes.
    pub(crate) async fn restart(&mut self) {
        for subscriber in &mut self.subscribers {
            subscriber.subscription = None;
        }
        let before = self.histories().await;
        self.feed.close().await;
        self.check_traces();
        self.feed = start(self.memory.as_ref(), self.path(), &self.clock);
        assert_eq!(self.histories().await, before);
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("ledger.db")
    }

    pub(crate) fn connect(&mut self, account: usize, mode: Mode) {
        let name = Account::parse(ACCOUNTS[account]).unwrap();
        let subscriber = &mut self.subscribers[account];
        let options = SubscribeOptions {
            after: subscriber.position.clone(),
            mode,
            ..SubscribeOptions::default()
        };
        subscriber.connect(self.feed.subscribe(name, options), mode);
    }

    pub(crate) fn disconnect(&mut self, account: usize) {
        self.subscribers[account].subscription = None;
    }

    /// The app takes up to `count` messages of those that are due.
    pub(crate) async fn read(&mut self, account: usize, count: usize) {
        let now = self.now();
        let (model, subscriber) = (&self.models[account], &mut self.subscribers[account]);
        if subscriber.subscription.is_none() {
            return;
        }
        let mut taken = 0;
        while taken < count && subscriber.lacks(model, now) {
            subscriber.take(model, now).await;
            taken += 1;
        }
        self.check_screen(account);
    }

    /// All connected apps take all due messages.
    pub(crate) async fn read_all(&mut self) {
        for account in 0..ACCOUNTS.len() {
            self.read(account, usize::MAX).await;
        }
    }

    pub(crate) async fn snapshot(&self, account: usize) -> Value {
        let name = Account::parse(ACCOUNTS[account]).unwrap();
        let message = self.feed.snapshot(&name, Feed::RECENT_MAX).await.unwrap();
        serde_json::from_str(message.json().get()).unwrap()
    }

    /// Checks the apps that stayed connected, then all of them after a resume, the histories, and the
    /// database file.
    pub(crate) async fn check_everything(&mut self) {
        self.read_all().await;
        for account in 0..ACCOUNTS.len() {
            let mode = self.subscribers[account].mode;
            self.connect(account, mode);
            self.read(account, usize::MAX).await;
            self.check_account(account).await;
            self.check_history(account).await;
        }
        self.check_gone().await;
        if self.memory.is_none() {
            reconcile(&self.path(), &self.models);
        }
    }

    /// Every account's entries, as bytes, oldest first.
    pub(crate) async fn histories(&self) -> Vec<Vec<String>> {
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

fn budget(budget: &ModelBudget) -> Budget {
    let window = if budget.is_monthly {
        Period::Month
    } else {
        Period::Day
    };
    let limit = budget.limit.print().parse().unwrap();
    Budget::new(&budget.id, window, limit, &budget.pair.1)
        .with_meter(&budget.pair.0)
        // In reverse order: the ledger sorts them.
        .with_thresholds(budget.thresholds.iter().rev().copied())
}

/// The text of one account, random enough to occur nowhere else.
fn marker(number: usize) -> String {
    let number = u64::try_from(number).unwrap() + 1;
    format!("m{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}
