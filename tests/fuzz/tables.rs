use std::{
    collections::BTreeMap,
    fs,
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    extract::Request,
    middleware::{self, Next},
};
use serde_json::Value;
use tallycast::{Account, Limits, domain::Amount};

use crate::{fuzzer::Fuzzer, server::Server};

const WORDS: &[&str] = &[
    "\"",
    "\"\"",
    ",",
    "\n",
    "\r",
    "\r\n",
    "\"\n",
    ",\"",
    "\",",
    " \"",
    " ",
    "\t",
    "\u{feff}",
    "\u{a0}",
    "customer_id",
    "date",
    "dollars",
    "00004",
    "1997-01-01",
    "29.33",
    "-1",
    "=1+1",
];

/// The columns that a replay reads, by their default names.
const ACCOUNT: &str = "customer_id";
const TIME: &str = "date";
const AMOUNT: &str = "dollars";

#[test]
fn a_table_is_recorded_row_by_row_or_nothing_of_it_is_sent() {
    let server = Server::start();
    let requests = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&requests);
    let router = server.hub.router();
    let router = router.layer(middleware::from_fn(move |request: Request, next: Next| {
        counter.fetch_add(1, Ordering::Relaxed);
        next.run(request)
    }));
    let url = format!("http://{}", server.listen(router, Limits::default()));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.csv");
    let replays = AtomicU64::new(0);

    Fuzzer::new("tables").mutate(WORDS, |table| {
        fs::write(&path, table).unwrap();
        let sums = columns(table);
        let before = sums.as_ref().map(|sums| spent(&server, sums));
        let already = requests.load(Ordering::Relaxed);
        let replay = Command::new(env!("CARGO_BIN_EXE_tallycast"))
            .arg("replay")
            .arg(&path)
            .args(["--to", &url, "--token", &server.token])
            .args(["--time-zone", "UTC", "--retry-for", "0", "--source"])
            .arg(replays.fetch_add(1, Ordering::Relaxed).to_string())
            .output()
            .unwrap();
        let sent = requests.load(Ordering::Relaxed) - already;
        match replay.status.code() {
            Some(0) => {
                let sums = sums.unwrap_or_else(|| panic!("no table: {}", said(&replay)));
                let rows: u64 = sums.values().map(|sum| sum.rows).sum();
                let line = format!("recorded {rows}, duplicate 0, conflict 0, rejected 0");
                assert!(said(&replay).contains(&line), "{}", said(&replay));
                let after = spent(&server, &sums);
                for (account, sum) in &sums {
                    let more = after[account] - before.as_ref().unwrap()[account];
                    assert_eq!(more, sum.nanos, "{account}");
                }
            }
            Some(2) => assert_eq!(sent, 0, "{}", said(&replay)),
            // The server has refused rows, such as one from before the earliest date.
            Some(1) => assert!(sums.is_some(), "no table: {}", said(&replay)),
            other => panic!("ended with {other:?}: {}", said(&replay)),
        }
        Server::assert_sound();
    });
}

fn said(replay: &Output) -> String {
    String::from_utf8_lossy(&[&replay.stdout[..], &replay.stderr].concat()).into_owned()
}

/// What a table's rows add to an account.
#[derive(Default)]
struct Sum {
    rows: u64,
    nanos: i128,
}

/// What each account gets; none if this is no table, or has no such columns.
fn columns(table: &[u8]) -> Option<BTreeMap<String, Sum>> {
    let mut rows = rows(std::str::from_utf8(table).ok()?)?.into_iter();
    let header = rows.next()?;
    let index = |name| {
        let is_it = |cell: &String| cell.trim_start_matches('\u{feff}') == name;
        (header.iter().filter(|cell| is_it(cell)).count() == 1)
            .then(|| header.iter().position(is_it))?
    };
    let (account, _, amount) = (index(ACCOUNT)?, index(TIME)?, index(AMOUNT)?);
    let mut sums = BTreeMap::<String, Sum>::new();
    for row in rows {
        if row.len() != header.len() {
            return None;
        }
        let sum = sums.entry(row[account].clone()).or_default();
        sum.rows += 1;
        sum.nanos += row[amount].parse::<Amount>().map_or(0, Amount::nanos);
    }
    Some(sums)
}

/// The cells of every row, without white space around them (RFC 4180, read strictly); none if a quote is out of place.
/// A blank line is no row.
fn rows(text: &str) -> Option<Vec<Vec<String>>> {
    let mut text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut rows, mut row) = (Vec::new(), Vec::new());
    while !(text.is_empty() && row.is_empty()) {
        let begins = text;
        let mut cell = String::new();
        if text.starts_with('"') {
            while let Some(quoted) = text.strip_prefix('"') {
                let end = quoted.find('"')?;
                cell.push_str(&quoted[..end]);
                text = &quoted[end + 1..];
                if text.starts_with('"') {
                    cell.push('"');
                }
            }
        } else {
            let end = text.find([',', '\r', '\n']).unwrap_or(text.len());
            cell.push_str(&text[..end]);
            if cell.contains('"') {
                return None;
            }
            text = &text[end..];
        }
        let is_blank = row.is_empty() && begins.starts_with(['\r', '\n']);
        row.push(cell.trim().to_owned());
        if let Some(rest) = text.strip_prefix(',') {
            text = rest;
            continue;
        }
        if !is_blank {
            rows.push(std::mem::take(&mut row));
        }
        row.clear();
        if !text.is_empty() {
            text = text
                .strip_prefix("\r\n")
                .or_else(|| text.strip_prefix(['\r', '\n']))?;
        }
    }
    Some(rows)
}

/// What each of these accounts has spent, in 10^-9.
fn spent(server: &Server, sums: &BTreeMap<String, Sum>) -> BTreeMap<String, i128> {
    let feed = server.hub.feed();
    let mut spent = BTreeMap::new();
    for name in sums.keys() {
        let nanos = match Account::parse(name) {
            Ok(account) => {
                let snapshot = server.runtime.block_on(feed.snapshot(&account, 0)).unwrap();
                let snapshot: Value = serde_json::from_str(snapshot.json().get()).unwrap();
                let totals = snapshot["totals"].as_array().unwrap().iter();
                totals.map(|totals| nanos(&totals["all"]["amount"])).sum()
            }
            // The replay refuses it.
            Err(_) => 0,
        };
        spent.insert(name.clone(), nanos);
    }
    spent
}

fn nanos(amount: &Value) -> i128 {
    amount.as_str().unwrap().parse::<Amount>().unwrap().nanos()
}
