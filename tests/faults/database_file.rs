//! The content of the database file, read by the `sqlite3` shell and none of our code.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::Path,
    process::Command,
};

use super::{
    findings::Findings,
    server::{Home, has_program},
};

/// An entry as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) offset: u64,
    pub(crate) id: String,
    /// Hundredths.
    pub(crate) amount: i64,
    /// The running total in the entry.
    pub(crate) total: i64,
    source: String,
    /// Meter and unit.
    pair: String,
}

/// The entries of every account, by offset.
#[derive(Debug, Default)]
pub(crate) struct StoredEntries {
    pub(crate) accounts: BTreeMap<String, Vec<Row>>,
}

/// No id contains it.
const SEPARATOR: &str = "\u{1f}";

const ENTRIES: &str = "SELECT name, offset, id,
        json_extract(json, '$.amount'), json_extract(json, '$.total'),
        json_extract(json, '$.offset'), json_extract(json, '$.id'),
        source, json_extract(json, '$.meter') || ' ' || json_extract(json, '$.unit')
    FROM entry JOIN account ON account = account.number
    ORDER BY name, offset;";

impl StoredEntries {
    /// Reads a copy of the file and its log, so that the server finds them as it left them.
    pub(crate) fn read(home: &Home, findings: &mut Findings) -> Self {
        assert!(
            has_program("sqlite3"),
            "install the sqlite3 shell (Debian: sqlite3)"
        );
        let copy = home.path("copy");
        drop(fs::remove_dir_all(&copy));
        fs::create_dir(&copy).unwrap();
        for suffix in ["", "-wal"] {
            let name = format!("ledger.db{suffix}");
            if home.path(&name).exists() {
                fs::copy(home.path(&name), copy.join(&name)).unwrap();
            }
        }
        let file = copy.join("ledger.db");
        let integrity = sqlite3(&file, "PRAGMA integrity_check;");
        findings.check(integrity.trim() == "ok", || {
            format!("integrity_check: {integrity}")
        });
        let mut stored = Self::default();
        for line in sqlite3(&file, ENTRIES).lines() {
            stored.add(line, findings);
        }
        stored.check(findings);
        stored
    }

    fn add(&mut self, line: &str, findings: &mut Findings) {
        let fields: Vec<&str> = line.split(SEPARATOR).collect();
        let [
            account,
            offset,
            id,
            amount,
            total,
            json_offset,
            json_id,
            source,
            pair,
        ] = fields[..]
        else {
            return findings.fault(format!("an unreadable row: {line}"));
        };
        findings.check(offset == json_offset && id == json_id, || {
            format!("{account}: row {offset} {id} holds the entry {json_offset} {json_id}")
        });
        let row = Row {
            offset: offset.parse().unwrap(),
            id: id.to_owned(),
            amount: hundredths(amount),
            total: hundredths(total),
            source: source.to_owned(),
            pair: pair.to_owned(),
        };
        self.accounts
            .entry(account.to_owned())
            .or_default()
            .push(row);
    }

    /// Checks that offsets have no gap, ids are unique, and totals add up.
    fn check(&self, findings: &mut Findings) {
        for (account, rows) in &self.accounts {
            let mut ids = HashSet::new();
            let mut totals: BTreeMap<&str, i64> = BTreeMap::new();
            for (row, offset) in rows.iter().zip(1..) {
                findings.check(row.offset == offset, || {
                    format!(
                        "{account}: offset {} stands where {offset} belongs",
                        row.offset
                    )
                });
                findings.check(ids.insert((&row.source, &row.id)), || {
                    format!("{account}: {} twice", row.id)
                });
                let total = totals.entry(&row.pair).or_default();
                *total += row.amount;
                findings.check(row.total == *total, || {
                    format!(
                        "{account}: the total at {offset} is {}, not {total}",
                        row.total
                    )
                });
            }
        }
    }

    pub(crate) fn rows(&self, account: &str) -> &[Row] {
        self.accounts.get(account).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn len(&self) -> usize {
        self.accounts.values().map(Vec::len).sum()
    }
}

fn sqlite3(file: &Path, sql: &str) -> String {
    let output = Command::new("sqlite3")
        .args(["-separator", SEPARATOR])
        .arg(file)
        .arg(sql)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "sqlite3: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// `12.50` as 1250. The experiments use no more than two digits.
pub(crate) fn hundredths(amount: &str) -> i64 {
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    format!("{whole}{fraction:0<2}").parse().unwrap()
}

/// 1250 as `12.50`.
pub(crate) fn amount_of(hundredths: i64) -> String {
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}
