use std::{
    fmt,
    io::{self, Write},
};

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
    /// Prints a line for each entry, then a line for each of the totals.
    pub(super) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        if self.kind == "snapshot" {
            let reason = self.reason.as_deref().unwrap_or_default();
            writeln!(
                out,
                "snapshot at {} ({})",
                self.offset.unwrap_or(0),
                TerminalText(reason)
            )?;
        }
        if self.kind == "rollover" {
            writeln!(out, "a new day")?;
        }
        for entry in self.recent.iter().chain(&self.entries) {
            writeln!(out, "{entry}")?;
        }
        for totals in &self.totals {
            writeln!(out, "{totals}")?;
        }
        Ok(())
    }
}

impl fmt::Display for WatchEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, .. } = self;
        write!(
            f,
            "#{offset}  {}  {}",
            TerminalText(&self.time),
            TerminalText(&self.kind)
        )?;
        if let Some(alert) = &self.alert {
            let unit = self.unit.as_deref().unwrap_or_default();
            return write!(f, "  {alert} {}", TerminalText(unit));
        }
        let fields = [
            &self.meter,
            &self.amount,
            &self.unit,
            &self.category,
            &self.description,
        ];
        for field in fields.into_iter().flatten() {
            write!(f, "  {}", TerminalText(field))?;
        }
        Ok(())
    }
}

impl fmt::Display for WatchAlert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (budget, spent, limit) = (
            TerminalText(&self.budget),
            TerminalText(&self.spent),
            TerminalText(&self.limit),
        );
        write!(f, "{budget}  {} %: {spent} of {limit}", self.threshold)
    }
}

impl fmt::Display for WatchTotals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let WatchWindow { amount, count } = &self.all;
        let (meter, unit) = (TerminalText(&self.meter), TerminalText(&self.unit));
        write!(
            f,
            "total  {meter}  {} {unit} ({count})",
            TerminalText(amount)
        )?;
        for (name, window) in [("month", &self.month), ("day", &self.day)] {
            if let Some(window) = window {
                write!(
                    f,
                    "  {name} {} ({})",
                    TerminalText(&window.amount),
                    window.count
                )?;
            }
        }
        Ok(())
    }
}

/// Untrusted text, with the characters that could manipulate a terminal escaped: control characters, and those that
/// change the text direction.
struct TerminalText<'a>(&'a str);

impl fmt::Display for TerminalText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            let is_unsafe = character.is_control()
                || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            if is_unsafe {
                write!(f, "{}", character.escape_default())?;
            } else {
                write!(f, "{character}")?;
            }
        }
        Ok(())
    }
}
