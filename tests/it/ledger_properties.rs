//! What holds of every ledger, whatever happens to it: random events, edits, clocks, restarts and
//! readers, against the model. `PROPTEST_CASES` asks for more cases, `TALLYCAST_SEED` for others.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use proptest::{
    prelude::*,
    sample::Index,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner},
};
use serde_json::Value;
use tallycast::{Amount, Event, Mode, Position};

use super::{
    model::{Content, Decimal},
    world::{ACCOUNTS, Backend, World},
};

const ZONES: &[&str] = &[
    "UTC",
    "Asia/Shanghai",
    "America/New_York",
    "Pacific/Apia",
    "Pacific/Honolulu",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
];
const PAIRS: &[(&str, &str)] = &[
    ("spend", "CNY"),
    ("spend", "EUR"),
    ("electricity", "kWh"),
    ("api-calls", "1"),
];
const CATEGORIES: &[&str] = &["food", "books", "quote \" and \\", "电"];
const SOURCES: &[&str] = &["", "shop", "meter/7"];

/// One thing that happens to a ledger.
#[derive(Debug, Clone)]
enum Step {
    Append(Vec<Draft>),
    /// The same event again, spelled otherwise.
    Repeat(Index, bool),
    /// The same key with other content.
    Alter(Index, u8),
    Reverse(Index, usize),
    /// A reversal, refused, then its original, then the reversal again.
    ReverseEarly(Draft),
    Zone(usize, usize),
    /// The clock moves by seconds, forwards or back.
    Wait(i64),
    /// The process starts again, with its clock moved.
    Restart(i64),
    Connect(usize, bool),
    /// The app reads so many messages, and no more than there are.
    Read(usize, usize),
    Disconnect(usize),
}

#[derive(Debug, Clone)]
struct Draft {
    account: usize,
    source: usize,
    pair: usize,
    amount: String,
    is_number: bool,
    is_adjustment: bool,
    category: Option<usize>,
    note: Option<String>,
    /// Seconds from now.
    time: Option<i64>,
}

fn draft() -> impl Strategy<Value = Draft> {
    let amount = prop_oneof![
        6 => "[1-9]?[0-9](\\.[0-9]{1,2})?",
        2 => "(0|[1-9][0-9]{0,14})(\\.[0-9]{1,9})?",
        1 => Just("999999999999999.999999999".to_owned()),
        1 => Just("0.000000001".to_owned()),
    ];
    let time = prop_oneof![
        3 => Just(None),
        3 => (-90_000_i64..300).prop_map(Some),
        2 => (-5_000_000_i64..0).prop_map(Some),
        1 => (301_i64..9_000).prop_map(Some),
    ];
    let choice = |count: usize| proptest::option::of(0..count);
    let places = (0..ACCOUNTS.len(), 0..SOURCES.len(), 0..PAIRS.len());
    let flags = (any::<bool>(), proptest::bool::weighted(0.2));
    let texts = (
        choice(CATEGORIES.len()),
        proptest::option::of("[ -~\u{1}\n é电]{1,9}"),
    );
    (places, amount, flags, texts, time).prop_map(
        |((account, source, pair), amount, (is_number, is_adjustment), (category, note), time)| {
            Draft {
                account,
                source,
                pair,
                amount,
                is_number,
                is_adjustment,
                category,
                note,
                time,
            }
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let account = 0..ACCOUNTS.len();
    let zone = 0..ZONES.len();
    let wait = prop_oneof![
        4 => 0_i64..7_200,
        2 => 0_i64..200_000,
        1 => 0_i64..4_000_000,
        1 => -90_000_i64..0,
    ];
    prop_oneof![
        8 => proptest::collection::vec(draft(), 1..6).prop_map(Step::Append),
        2 => (any::<Index>(), any::<bool>()).prop_map(|(i, spelled)| Step::Repeat(i, spelled)),
        2 => (any::<Index>(), any::<u8>()).prop_map(|(i, how)| Step::Alter(i, how)),
        4 => (any::<Index>(), 0..SOURCES.len()).prop_map(|(i, source)| Step::Reverse(i, source)),
        1 => draft().prop_map(Step::ReverseEarly),
        1 => (account.clone(), zone).prop_map(|(account, zone)| Step::Zone(account, zone)),
        2 => wait.prop_map(Step::Wait),
        1 => prop_oneof![Just(0_i64), -400_000_i64..0].prop_map(Step::Restart),
        2 => (account.clone(), any::<bool>()).prop_map(|(account, merges)| Step::Connect(account, merges)),
        3 => (account.clone(), 1_usize..6).prop_map(|(account, count)| Step::Read(account, count)),
        1 => account.prop_map(Step::Disconnect),
    ]
}

impl Draft {
    fn content(&self, now: Timestamp) -> Content {
        let (meter, unit) = PAIRS[self.pair];
        let minus = if self.is_adjustment && self.amount.len().is_multiple_of(2) {
            "-"
        } else {
            ""
        };
        let note = self.note.clone().filter(|note| !note.is_empty());
        Content {
            kind: if self.is_adjustment {
                "adjustment"
            } else {
                "consumption"
            },
            amount: Some(Decimal::read(&format!("{minus}{}", self.amount))),
            pair: Some((meter.to_owned(), unit.to_owned())),
            category: self.category.map(|index| CATEGORIES[index].to_owned()),
            description: if self.is_adjustment {
                note.or(Some("why".to_owned()))
            } else {
                note
            },
            time: self.time.map(|seconds| {
                let nanos = i64::from(u8::try_from(self.amount.len()).unwrap()) * 1_001;
                now + jiff::SignedDuration::new(seconds, i32::try_from(nanos).unwrap())
            }),
            attributes: BTreeMap::from([("länge".to_owned(), self.amount.clone())]),
            reverses: None,
        }
    }
}

/// How one and the same content may be written.
#[derive(Debug, Clone, Copy, Default)]
struct Spelling {
    is_number: bool,
    is_other: bool,
}

fn event_json(account: &str, key: &(String, String), sent: &Content, spelling: Spelling) -> String {
    let mut fields = vec![
        format!("\"account\":{}", Value::from(account)),
        format!("\"id\":{}", Value::from(key.1.as_str())),
    ];
    if !key.0.is_empty() || spelling.is_other {
        fields.push(format!("\"source\":{}", Value::from(key.0.as_str())));
    }
    if sent.kind != "consumption" || spelling.is_other {
        fields.push(format!("\"kind\":\"{}\"", sent.kind));
    }
    if let Some(amount) = sent.amount {
        let text = amount.print();
        fields.push(match spelling.is_number {
            true => format!("\"amount\":{text}"),
            false => format!("\"amount\":\"{text}\""),
        });
    }
    if let Some((meter, unit)) = &sent.pair {
        fields.push(format!("\"unit\":{}", Value::from(unit.as_str())));
        if meter != "spend" || spelling.is_other {
            fields.push(format!("\"meter\":{}", Value::from(meter.as_str())));
        }
    }
    let mut optional = |name: &str, text: Option<String>| match text {
        Some(text) => fields.push(format!("\"{name}\":{}", Value::from(text))),
        None if spelling.is_other => fields.push(format!("\"{name}\":null")),
        None => {}
    };
    optional("category", sent.category.clone());
    optional("description", sent.description.clone());
    let print = |time: Timestamp| match spelling.is_other {
        true => time.display_with_offset(jiff::tz::offset(8)).to_string(),
        false => time.to_string(),
    };
    optional("time", sent.time.map(print));
    if !sent.attributes.is_empty() {
        fields.push(format!(
            "\"attributes\":{}",
            serde_json::json!(sent.attributes)
        ));
    }
    if let Some((source, id)) = &sent.reverses {
        fields.push(match spelling.is_other || *source != key.0 {
            true => format!(
                "\"reverses\":{}",
                serde_json::json!({ "source": source, "id": id })
            ),
            false => format!("\"reverses\":{}", Value::from(id.as_str())),
        });
    }
    if spelling.is_other {
        fields.reverse();
    }
    format!("{{{}}}", fields.join(", "))
}

/// An event that was sent, and whose.
#[derive(Debug, Clone)]
struct Sent {
    account: usize,
    key: (String, String),
    content: Content,
}

struct Run {
    world: World,
    sent: Vec<Sent>,
    next: usize,
}

impl Run {
    async fn new(backend: Backend) -> Self {
        Self {
            world: World::new(backend),
            sent: Vec::new(),
            next: 0,
        }
    }

    fn key(&mut self, source: usize) -> (String, String) {
        self.next += 1;
        // Sources share ids now and then: only both together are a key.
        (SOURCES[source].to_owned(), format!("e-{}", self.next / 2))
    }

    async fn send(&mut self, sent: Vec<(Sent, Spelling)>) {
        let events = sent.into_iter().map(|(mut sent, spelling)| {
            if let Some(amount) = &mut sent.content.amount {
                amount.digits = amount.digits.max(usize::from(spelling.is_other));
            }
            let account = ACCOUNTS[sent.account];
            let json = event_json(account, &sent.key, &sent.content, spelling);
            let event = Event::from_json(json.as_bytes());
            (sent.account, sent.key, sent.content, event)
        });
        self.world.append(events.collect()).await;
    }

    async fn send_new(&mut self, sent: Sent, spelling: Spelling) {
        self.sent.push(sent.clone());
        self.send(vec![(sent, spelling)]).await;
    }

    async fn take(&mut self, step: Step) {
        let now = self.world.now();
        match step {
            Step::Append(drafts) => {
                let mut batch = Vec::new();
                for draft in drafts {
                    let key = self.key(draft.source);
                    let content = draft.content(now);
                    let sent = Sent {
                        account: draft.account,
                        key,
                        content,
                    };
                    self.sent.push(sent.clone());
                    batch.push((
                        sent,
                        Spelling {
                            is_number: draft.is_number,
                            is_other: false,
                        },
                    ));
                }
                self.send(batch).await;
            }
            Step::Repeat(index, is_number) if !self.sent.is_empty() => {
                let sent = index.get(&self.sent).clone();
                self.send(vec![(
                    sent,
                    Spelling {
                        is_number,
                        is_other: true,
                    },
                )])
                .await;
            }
            Step::Alter(index, how) if !self.sent.is_empty() => {
                let mut sent = index.get(&self.sent).clone();
                alter(&mut sent.content, how, now);
                // Of an event that was refused before, this is the first that counts.
                self.send_new(sent, Spelling::default()).await;
            }
            Step::Reverse(index, source) if !self.sent.is_empty() => {
                let original = index.get(&self.sent).clone();
                // Two in one batch: only one of them can be right.
                let reversals = [self.key(source), self.key(0)].map(|key| {
                    let content = reversal(original.key.clone());
                    let account = original.account;
                    let sent = Sent {
                        account,
                        key,
                        content,
                    };
                    (sent, Spelling::default())
                });
                self.sent
                    .extend(reversals.iter().map(|(sent, _)| sent.clone()));
                self.send(reversals.to_vec()).await;
            }
            Step::ReverseEarly(draft) => {
                let mut content = draft.content(now);
                content.time = None;
                let (account, key) = (draft.account, self.key(draft.source));
                let original = Sent {
                    account,
                    key: key.clone(),
                    content,
                };
                let key_of_reversal = self.key(0);
                let reversal = Sent {
                    account,
                    key: key_of_reversal,
                    content: reversal(key),
                };
                for sent in [reversal.clone(), original, reversal] {
                    self.send_new(sent, Spelling::default()).await;
                }
            }
            Step::Zone(account, zone) => self.world.set_zone(account, ZONES[zone]).await,
            Step::Wait(seconds) => self.world.wait(seconds),
            Step::Restart(seconds) => {
                self.world.wait(seconds);
                self.world.restart().await;
            }
            Step::Connect(account, merges) => {
                let mode = if merges { Mode::Totals } else { Mode::Entries };
                self.world.connect(account, mode);
            }
            Step::Read(account, count) => self.world.read(account, count).await,
            Step::Disconnect(account) => self.world.disconnect(account),
            Step::Repeat(..) | Step::Alter(..) | Step::Reverse(..) => {}
        }
    }

    async fn finish(mut self) {
        self.world.check_everything().await;
        self.world.restart().await;
        for sent in self.sent.clone() {
            self.send(vec![(
                sent,
                Spelling {
                    is_number: false,
                    is_other: true,
                },
            )])
            .await;
        }
        self.world.check_everything().await;
    }
}

fn alter(content: &mut Content, how: u8, now: Timestamp) {
    match how % 5 {
        0 => content.description = Some("another one".to_owned()),
        1 => {
            content.time = Some(
                content
                    .time
                    .map_or(now, |time| time - jiff::SignedDuration::from_nanos(1)),
            )
        }
        2 => drop(content.attributes.insert("new".to_owned(), String::new())),
        3 if content.reverses.is_none() => {
            content.category = match &content.category {
                Some(_) => None,
                None => Some("food".to_owned()),
            };
        }
        _ => match &mut content.amount {
            Some(amount) if amount.nanos < 1_000_000_000 => amount.nanos += 1_000_000_000,
            Some(amount) => amount.nanos -= 1_000_000_000,
            None => content.description = Some("because".to_owned()),
        },
    }
}

fn reversal(key: (String, String)) -> Content {
    Content {
        kind: "reversal",
        amount: None,
        pair: None,
        category: None,
        description: None,
        time: None,
        attributes: BTreeMap::new(),
        reverses: Some(key),
    }
}

/// A runner whose cases are the same each time, unless `TALLYCAST_SEED` says otherwise.
fn runner(cases: u32) -> TestRunner {
    let seed = std::env::var("TALLYCAST_SEED").unwrap_or_else(|_| "tallycast".to_owned());
    let asked = std::env::var("PROPTEST_CASES").ok();
    let cases = asked.map_or(cases, |text| {
        text.parse().expect("PROPTEST_CASES is a number")
    });
    println!("TALLYCAST_SEED={seed} PROPTEST_CASES={cases}");
    let mut bytes = [0; 32];
    for (byte, letter) in bytes.iter_mut().zip(seed.bytes()) {
        *byte = letter;
    }
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 400,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

fn hold_on(backend: Backend, cases: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let steps = proptest::collection::vec(step(), 1..60);
    let result = runner(cases).run(&steps, |steps| {
        runtime.block_on(async {
            let mut run = Run::new(backend).await;
            for step in steps {
                run.take(step).await;
            }
            run.finish().await;
        });
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

#[test]
fn everything_that_holds_of_a_ledger_holds_in_memory() {
    hold_on(Backend::Memory, 48);
}

#[test]
fn everything_that_holds_of_a_ledger_holds_on_sqlite() {
    hold_on(Backend::Sqlite, 16);
}

#[test]
fn any_order_of_the_same_events_gives_the_same_totals() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let events = proptest::collection::vec((draft(), any::<bool>()), 1..24);
    let shuffles = (events, proptest::collection::vec(any::<u32>(), 96));
    let result = runner(32).run(&shuffles, |(drafts, keys)| {
        let now = World::BEGIN;
        let mut sent = Vec::new();
        for (number, (draft, is_reversed)) in drafts.iter().enumerate() {
            let mut content = draft.content(now);
            content.time.get_or_insert(now);
            let key = (String::new(), format!("e-{number}"));
            sent.push(Sent {
                account: 0,
                key: key.clone(),
                content,
            });
            if *is_reversed {
                let mut content = reversal(key.clone());
                content.time = Some(now - jiff::SignedDuration::from_hours(30));
                let key = (String::new(), format!("r-{number}"));
                sent.push(Sent {
                    account: 0,
                    key,
                    content,
                });
            }
        }
        // Every one twice, in any order; then once more, so that each reversal follows its original.
        let mut order: Vec<usize> = (0..sent.len()).chain(0..sent.len()).collect();
        order.sort_by_key(|index| keys[*index % keys.len()] ^ u32::try_from(*index).unwrap());
        order.extend(0..sent.len());
        let snapshot = |order: &[usize]| {
            let order = order.to_vec();
            let sent = &sent;
            async move {
                let mut run = Run::new(Backend::Memory).await;
                for index in order {
                    run.send(vec![(sent[index].clone(), Spelling::default())])
                        .await;
                }
                run.world.snapshot(0).await["totals"].clone()
            }
        };
        let in_order: Vec<usize> = (0..sent.len()).collect();
        let (one, other) =
            runtime.block_on(async { (snapshot(&in_order).await, snapshot(&order).await) });
        prop_assert_eq!(one, other);
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

#[test]
fn an_amount_is_read_back_as_it_was_printed() {
    let texts = prop_oneof![
        "-?(0|[1-9][0-9]{0,14})(\\.[0-9]{1,9})?",
        "-?999999999999999\\.999999999",
        "-?0\\.0{0,8}[0-9]",
    ];
    let result = runner(2_000).run(&texts, |text| {
        let amount: Amount = text.parse().map_err(|_| TestCaseError::fail("refused"))?;
        let zero = text.bytes().all(|b| b"-0.".contains(&b));
        let expected = if zero {
            text.trim_start_matches('-')
        } else {
            &text
        };
        prop_assert_eq!(amount.to_string(), expected);
        prop_assert_eq!(amount.to_string().parse::<Amount>().unwrap(), amount);
        prop_assert_eq!(amount.nanos(), Decimal::read(&text).nanos);
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

#[test]
fn sums_grow_exactly_until_they_are_refused() {
    let mut sum: Amount = "999999999999999.999999999".parse().unwrap();
    let mut expected: i128 = 999_999_999_999_999_999_999_999;
    while let Some(doubled) = sum.checked_add(sum) {
        expected *= 2;
        assert_eq!(doubled.nanos(), expected);
        let json = serde_json::to_string(&doubled).unwrap();
        assert_eq!(serde_json::from_str::<Amount>(&json).unwrap(), doubled);
        sum = doubled;
    }
    assert!(
        expected.checked_mul(2).is_none(),
        "refused at {expected}, too early"
    );
}

#[test]
fn a_position_is_read_back_as_it_was_printed() {
    let offset = prop_oneof![
        Just(0),
        Just(Position::OFFSET_MAX),
        0..=Position::OFFSET_MAX
    ];
    let day = prop_oneof![Just(i32::MIN), Just(i32::MAX), any::<i32>()];
    let parts = (any::<[u64; 2]>(), offset, day, any::<u32>(), any::<bool>());
    let result = runner(1_000).run(&parts, |([epoch, tag], offset, day, revision, due)| {
        let bytes = |version: u8, due: u8, offset: u64| {
            let mut bytes = vec![version, due];
            bytes.extend(
                [epoch, tag, offset]
                    .iter()
                    .flat_map(|long| long.to_be_bytes()),
            );
            bytes.extend(day.to_be_bytes());
            bytes.extend(revision.to_be_bytes());
            URL_SAFE_NO_PAD.encode(bytes)
        };
        let text = bytes(1, u8::from(due), offset);
        let position = Position::parse(&text).map_err(|_| TestCaseError::fail("refused"))?;
        prop_assert_eq!(
            (position.to_string(), position.offset()),
            (text.clone(), offset)
        );
        let forged = [
            bytes(2, 0, offset),
            bytes(1, 2, offset),
            bytes(1, 0, Position::OFFSET_MAX + 1),
        ];
        for text in forged
            .into_iter()
            .chain([format!("{text}A"), text[1..].to_owned()])
        {
            prop_assert_eq!(Position::parse(&text).unwrap_err().code(), "bad_position");
        }
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}
