//! The ledger by the contract, as simple as possible: every answer is looked up in, and every
//! total is summed from, the whole list of entries. It shares no code with `src`.

pub(crate) mod budgets;
pub(crate) mod cases;
pub(crate) mod checks;
pub(crate) mod harness;
pub(crate) mod runner;
pub(crate) mod sql_checks;
pub(crate) mod steps;
pub(crate) mod subscriber;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use jiff::{
    SignedDuration, Timestamp, ToSpan,
    civil::Date,
    tz::{TimeZone, TimeZoneDatabase},
};
use serde_json::{Value, json};

use crate::support::model::budgets::ModelBudget;

/// Not the machine's database, which may have other transitions.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The bundled zone of this name.
pub(crate) fn zone(name: &str) -> TimeZone {
    ZONES.get(name).unwrap()
}

/// An event as sent, parsed, without its account and key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Content {
    pub(crate) kind: &'static str,
    pub(crate) amount: Option<Decimal>,
    pub(crate) pair: Option<(String, String)>,
    pub(crate) category: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) time: Option<Timestamp>,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) reverses: Option<(String, String)>,
}

impl Content {
    /// An event of this kind, with all else empty.
    pub(crate) fn of_kind(kind: &'static str) -> Self {
        Self {
            kind,
            amount: None,
            pair: None,
            category: None,
            description: None,
            time: None,
            attributes: BTreeMap::new(),
            reverses: None,
        }
    }
}

/// A whole number of 10⁻⁹, and how many fraction digits were written.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Decimal {
    pub(crate) nanos: i128,
    pub(crate) digits: usize,
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Decimal {
    pub(crate) fn read(text: &str) -> Self {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let nanos = format!("{whole}{fraction:0<9}").parse().unwrap();
        let digits = fraction.len();
        Self { nanos, digits }
    }

    pub(crate) fn print(self) -> String {
        let all = format!("{:010}", self.nanos.abs());
        let (whole, fraction) = all.split_at(all.len() - 9);
        let sign = if self.nanos < 0 { "-" } else { "" };
        let point = if self.digits > 0 { "." } else { "" };
        format!("{sign}{whole}{point}{}", &fraction[..self.digits])
    }

    pub(crate) fn sum(terms: impl Iterator<Item = Self>) -> Self {
        terms.fold(Self::default(), |sum, term| Self {
            nanos: sum.nanos + term.nanos,
            digits: sum.digits.max(term.digits),
        })
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answer {
    Recorded(u64, String),
    Duplicate(u64, String),
    Conflict,
    Rejected(&'static str),
}

#[derive(Debug, Clone)]
pub(crate) struct ModelEntry {
    pub(crate) key: (String, String),
    pub(crate) sent: Content,
    pub(crate) amount: Decimal,
    pub(crate) count: i64,
    pub(crate) pair: (String, String),
    pub(crate) category: Option<String>,
    pub(crate) happened: Timestamp,
    pub(crate) recorded: Timestamp,
    pub(crate) total: String,
    /// The fields that only alerts have.
    pub(crate) alert: Option<Value>,
}

#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) entries: Vec<ModelEntry>,
    pub(crate) zone: String,
    pub(crate) revision: u32,
    /// Distinguishes the account from earlier ones of the same name; 0 if it does not exist.
    pub(crate) generation: u32,
    pub(crate) budgets: Vec<ModelBudget>,
    /// The budget, window and threshold of each alert that still counts.
    pub(crate) fired: Vec<(String, Date, u16)>,
}

impl Model {
    pub(crate) fn new() -> Self {
        Self {
            entries: Vec::new(),
            zone: "UTC".to_owned(),
            revision: 0,
            generation: 0,
            budgets: Vec::new(),
            fired: Vec::new(),
        }
    }

    pub(crate) fn date(&self, at: Timestamp) -> Date {
        zone(&self.zone).to_datetime(at).date()
    }

    pub(crate) fn head(&self) -> u64 {
        u64::try_from(self.entries.len()).unwrap()
    }

    pub(crate) fn find(&self, key: &(String, String)) -> Option<usize> {
        self.entries.iter().position(|entry| entry.key == *key)
    }

    pub(crate) fn append(
        &mut self,
        key: (String, String),
        sent: Content,
        now: Timestamp,
    ) -> Answer {
        if sent.reverses.as_ref() == Some(&key) {
            return Answer::Rejected("reverses_itself");
        }
        if let Some(index) = self.find(&key) {
            let first = &self.entries[index];
            let offset = u64::try_from(index + 1).unwrap();
            return match first.sent == sent {
                true => Answer::Duplicate(offset, first.total.clone()),
                false => Answer::Conflict,
            };
        }
        let happened = sent.time.unwrap_or(now);
        if happened > now + SignedDuration::from_mins(5) {
            return Answer::Rejected("time_in_future");
        }
        let (amount, count, pair, category) = match &sent.reverses {
            None => {
                let count = i64::from(sent.kind == "consumption");
                let amount = sent.amount.unwrap();
                (
                    amount,
                    count,
                    sent.pair.clone().unwrap(),
                    sent.category.clone(),
                )
            }
            Some(reversed) => {
                let Some(index) = self.find(reversed) else {
                    return Answer::Rejected("unknown_original");
                };
                let mut others = self.entries.iter();
                if others.any(|entry| entry.sent.reverses.as_ref() == Some(reversed)) {
                    return Answer::Rejected("already_reversed");
                }
                let original = &self.entries[index];
                if original.sent.reverses.is_some() || original.alert.is_some() {
                    return Answer::Rejected("not_reversible");
                }
                let Decimal { nanos, digits } = original.amount;
                let amount = Decimal {
                    nanos: -nanos,
                    digits,
                };
                let (pair, category) = (original.pair.clone(), original.category.clone());
                (amount, -original.count, pair, category)
            }
        };
        let earlier = self.entries.iter().filter(|entry| entry.pair == pair);
        let terms = earlier.map(|entry| entry.amount).chain([amount]);
        let total = Decimal::sum(terms).print();
        let recorded = now;
        let entry = ModelEntry {
            key,
            sent,
            amount,
            count,
            pair,
            category,
            happened,
            recorded,
            total: total.clone(),
            alert: None,
        };
        self.entries.push(entry);
        let offset = self.head();
        self.fire(now);
        Answer::Recorded(offset, total)
    }

    /// The totals of a client that has applied the entries up to `offset`, sorted by pair.
    pub(crate) fn totals(&self, offset: u64, now: Timestamp) -> Value {
        let today = self.date(now);
        let entries = &self.entries[..usize::try_from(offset).unwrap()];
        let mut pairs: BTreeMap<_, Vec<(Date, &ModelEntry)>> = BTreeMap::new();
        for entry in entries.iter().filter(|entry| entry.alert.is_none()) {
            let dated = (self.date(entry.happened), entry);
            pairs.entry(&entry.pair).or_default().push(dated);
        }
        let totals = pairs.into_iter().map(|(pair, of_pair)| {
            let all: Vec<_> = of_pair.iter().map(|(_, entry)| *entry).collect();
            let within = |start: Date, end: Date| {
                let held = of_pair
                    .iter()
                    .filter(|(date, _)| start <= *date && *date < end);
                window(
                    &held.map(|(_, entry)| *entry).collect::<Vec<_>>(),
                    start,
                    end,
                )
            };
            let month = today.first_of_month();
            json!({
                "meter": pair.0, "unit": pair.1, "all": summed(&all),
                "month": within(month, month + 1.month()), "day": within(today, today + 1.day()),
            })
        });
        totals.collect()
    }

    /// The past totals by day or by month, from the period of `from` to that of `to`.
    pub(crate) fn past(&self, is_monthly: bool, from: Date, to: Date) -> Value {
        let period = |date: Date| match is_monthly {
            true => (date.first_of_month(), date.first_of_month() + 1.month()),
            false => (date, date + 1.day()),
        };
        let mut rows: BTreeMap<_, Vec<&ModelEntry>> = BTreeMap::new();
        for entry in self.entries.iter().filter(|entry| entry.alert.is_none()) {
            let of = period(self.date(entry.happened));
            if period(from) <= of && of <= period(to) {
                rows.entry((of, &entry.pair)).or_default().push(entry);
            }
        }
        let rows = rows.into_iter().map(|(((start, end), pair), held)| {
            let mut row = window(&held, start, end);
            row["meter"] = json!(pair.0);
            row["unit"] = json!(pair.1);
            row
        });
        rows.collect()
    }
}

fn window(held: &[&ModelEntry], start: Date, end: Date) -> Value {
    let names: BTreeSet<_> = held.iter().filter_map(|e| e.category.as_ref()).collect();
    let categories = names.into_iter().map(|name| {
        let of_name = held.iter().filter(|e| e.category.as_ref() == Some(name));
        let amount = Decimal::sum(of_name.map(|e| e.amount)).print();
        (name.clone(), json!(amount))
    });
    let mut window = summed(held);
    window["start"] = json!(start.to_string());
    window["end"] = json!(end.to_string());
    window["categories"] = Value::Object(categories.collect());
    window
}

fn summed(entries: &[&ModelEntry]) -> Value {
    let amount = Decimal::sum(entries.iter().map(|entry| entry.amount)).print();
    let count: i64 = entries.iter().map(|entry| entry.count).sum();
    json!({ "amount": amount, "count": count })
}
