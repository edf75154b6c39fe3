//! Random steps for a ledger, and the spellings of an event.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::{prelude::*, sample::Index};
use serde_json::Value;

use crate::support::model::{Content, Decimal, budgets::ModelBudget, harness::ACCOUNTS};

pub(crate) const ZONES: &[&str] = &[
    "UTC",
    "Asia/Shanghai",
    "America/New_York",
    "Pacific/Apia",
    "Pacific/Honolulu",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    // Until 2011 its clocks were set back over midnight.
    "America/St_Johns",
];
const PAIRS: &[(&str, &str)] = &[
    ("spend", "CNY"),
    ("spend", "EUR"),
    ("electricity", "kWh"),
    ("api-calls", "1"),
];
const LIMITS: &[&str] = &["0.000000003", "5", "33.35", "100", "100.00", "2000"];
const CATEGORIES: &[&str] = &["food", "books", "quote \" and \\", "电"];
pub(crate) const SOURCES: &[&str] = &["", "shop", "meter/7"];

/// One step of a ledger's history.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Append(Vec<Draft>),
    /// The same event again, spelled differently.
    Repeat(Index, bool),
    /// The same key with other content.
    Alter(Index, u8),
    Reverse(Index, usize),
    /// A reversal, refused, then its original, then the reversal again.
    ReverseEarly(Draft),
    Zone(usize, usize),
    /// Replaces an account's budgets.
    Budgets(usize, Vec<BudgetDraft>),
    /// Changes the thresholds of its budgets.
    Thresholds(usize, Vec<u16>),
    /// Moves the clock by seconds, forwards or back; if set, connected apps then read.
    Wait(i64, bool),
    /// Moves the clock to this many seconds from an account's next midnight; connected apps then read.
    Midnight(usize, i64),
    /// Restarts the process, with its clock moved.
    Restart(i64),
    Connect(usize, bool),
    /// The app reads up to this many messages.
    Read(usize, usize),
    Disconnect(usize),
    Erase(usize),
}

/// Drawn from few values, so that a budget often comes again unchanged.
#[derive(Debug, Clone)]
pub(crate) struct BudgetDraft {
    id: usize,
    pair: usize,
    is_monthly: bool,
    limit: usize,
    thresholds: Vec<u16>,
}

#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) account: usize,
    pub(crate) source: usize,
    pair: usize,
    amount: String,
    pub(crate) is_number: bool,
    is_adjustment: bool,
    category: Option<usize>,
    note: Option<String>,
    /// Seconds from now.
    time: Option<i64>,
}

pub(crate) fn draft() -> impl Strategy<Value = Draft> {
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
        1 => (-80_000_000_i64..0).prop_map(Some),
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

fn thresholds() -> impl Strategy<Value = Vec<u16>> {
    proptest::sample::subsequence(&[1_u16, 33, 50, 80, 100, 150, 1_000][..], 1..5)
}

fn budget_draft() -> impl Strategy<Value = BudgetDraft> {
    let places = (0_usize..3, 0_usize..2, any::<bool>(), 0..LIMITS.len());
    (places, thresholds()).prop_map(|((id, pair, is_monthly, limit), thresholds)| BudgetDraft {
        id,
        pair,
        is_monthly,
        limit,
        thresholds,
    })
}

/// Seconds by which the clock moves.
fn wait() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => 0_i64..7_200,
        2 => 0_i64..200_000,
        1 => 0_i64..4_000_000,
        1 => 0_i64..40_000_000,
        2 => -90_000_i64..0,
        1 => -4_000_000_i64..0,
    ]
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let account = || 0..ACCOUNTS.len();
    let budgets = proptest::collection::vec(budget_draft(), 0..4);
    let restart = prop_oneof![Just(0_i64), -400_000_i64..0, 0_i64..100_000];
    prop_oneof![
        8 => proptest::collection::vec(draft(), 1..6).prop_map(Step::Append),
        2 => (any::<Index>(), any::<bool>()).prop_map(|(i, spelled)| Step::Repeat(i, spelled)),
        2 => (any::<Index>(), any::<u8>()).prop_map(|(i, how)| Step::Alter(i, how)),
        4 => (any::<Index>(), 0..SOURCES.len()).prop_map(|(i, source)| Step::Reverse(i, source)),
        1 => draft().prop_map(Step::ReverseEarly),
        2 => (account(), 0..ZONES.len()).prop_map(|(account, zone)| Step::Zone(account, zone)),
        3 => (account(), budgets).prop_map(|(account, budgets)| Step::Budgets(account, budgets)),
        1 => (account(), thresholds()).prop_map(|(account, them)| Step::Thresholds(account, them)),
        3 => (wait(), any::<bool>()).prop_map(|(seconds, looks)| Step::Wait(seconds, looks)),
        2 => (account(), -70_i64..70).prop_map(|(account, seconds)| Step::Midnight(account, seconds)),
        1 => restart.prop_map(Step::Restart),
        3 => (account(), any::<bool>()).prop_map(|(account, merges)| Step::Connect(account, merges)),
        3 => (account(), 1_usize..6).prop_map(|(account, count)| Step::Read(account, count)),
        1 => account().prop_map(Step::Disconnect),
        1 => account().prop_map(Step::Erase),
    ]
}

impl BudgetDraft {
    fn budget(&self, marker: &str) -> ModelBudget {
        let (meter, unit) = PAIRS[self.pair];
        ModelBudget {
            id: format!("{}-{marker}", self.id),
            pair: (meter.to_owned(), unit.to_owned()),
            is_monthly: self.is_monthly,
            limit: Decimal::read(LIMITS[self.limit]),
            thresholds: self.thresholds.clone(),
        }
    }

    /// The budgets of these drafts, without repeated ids.
    pub(crate) fn budgets(drafts: &[Self], marker: &str) -> Vec<ModelBudget> {
        let mut budgets: Vec<ModelBudget> = Vec::new();
        for draft in drafts {
            let budget = draft.budget(marker);
            if budgets.iter().all(|other| other.id != budget.id) {
                budgets.push(budget);
            }
        }
        budgets
    }
}

impl Draft {
    pub(crate) fn content(&self, now: Timestamp, marker: &str) -> Content {
        let (meter, unit) = PAIRS[self.pair];
        let minus = if self.is_adjustment && self.amount.len().is_multiple_of(2) {
            "-"
        } else {
            ""
        };
        let note = self.note.clone().filter(|note| !note.is_empty());
        let note = note.map(|note| format!("{note}{marker}"));
        Content {
            kind: if self.is_adjustment {
                "adjustment"
            } else {
                "consumption"
            },
            amount: Some(Decimal::read(&format!("{minus}{}", self.amount))),
            pair: Some((meter.to_owned(), unit.to_owned())),
            category: self
                .category
                .map(|index| format!("{}{marker}", CATEGORIES[index])),
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

/// How the same content is written as JSON.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spelling {
    pub(crate) is_number: bool,
    pub(crate) is_other: bool,
}

pub(crate) fn event_json(
    account: &str,
    key: &(String, String),
    sent: &Content,
    spelling: Spelling,
) -> String {
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
