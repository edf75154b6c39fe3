use std::fmt;

use serde::Deserialize;

/// The parts of a feed message that are printed.
#[derive(Debug, Deserialize)]
pub(super) struct WatchMessage {
    pub(super) position: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    offset: Option<u64>,
    #[serde(default)]
    recent: Vec<WatchEntry>,
    #[serde(default)]
    entries: Vec<WatchEntry>,
    #[serde(default)]
    totals: Vec<WatchTotals>,
}

#[derive(Debug, Deserialize)]
struct WatchEntry {
    offset: u64,
    kind: String,
    amount: Option<String>,
    unit: Option<String>,
    meter: Option<String>,
    category: Option<String>,
    description: Option<String>,
    time: String,
    #[serde(flatten)]
    alert: Option<WatchAlert>,
}

/// The fields that only an alert has.
#[derive(Debug, Deserialize)]
struct WatchAlert {
    budget: String,
    threshold: u16,
    spent: String,
    limit: String,
}

#[derive(Debug, Deserialize)]
struct WatchTotals {
    meter: String,
    unit: String,
    all: WatchWindow,
    month: Option<WatchWindow>,
    day: Option<WatchWindow>,
}

#[derive(Debug, Deserialize)]
struct WatchWindow {
    amount: String,
    count: i64,
}

impl WatchMessage {
    /// A line for each entry, then a line for each of the totals.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.kind == "snapshot" {
            let reason = self.reason.as_deref().unwrap_or_default();
            let offset = self.offset.unwrap_or(0);
            lines.push(format!("snapshot at {offset} ({reason})"));
        }
        if self.kind == "rollover" {
            lines.push("a new day".to_owned());
        }
        let entries = self.recent.iter().chain(&self.entries);
        lines.extend(entries.map(WatchEntry::to_string));
        lines.extend(self.totals.iter().map(WatchTotals::to_string));
        lines
    }
}

impl fmt::Display for WatchEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}  {}  {}", self.offset, self.time, self.kind)?;
        if let Some(alert) = &self.alert {
            let unit = self.unit.as_deref().unwrap_or_default();
            return write!(f, "  {alert} {unit}");
        }
        let fields = [
            &self.meter,
            &self.amount,
            &self.unit,
            &self.category,
            &self.description,
        ];
        for field in fields.into_iter().flatten() {
            write!(f, "  {field}")?;
        }
        Ok(())
    }
}

impl fmt::Display for WatchAlert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            budget,
            threshold,
            spent,
            limit,
        } = self;
        write!(f, "{budget}  {threshold} %: {spent} of {limit}")
    }
}

impl fmt::Display for WatchTotals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { meter, unit, .. } = self;
        let WatchWindow { amount, count } = &self.all;
        write!(f, "total  {meter}  {amount} {unit} ({count})")?;
        for (name, window) in [("month", &self.month), ("day", &self.day)] {
            if let Some(WatchWindow { amount, count }) = window {
                write!(f, "  {name} {amount} ({count})")?;
            }
        }
        Ok(())
    }
}
