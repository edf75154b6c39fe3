use std::{
    fmt,
    io::{self, Write},
};

use serde::Deserialize;

/// A feed message, as far as it is shown.
#[derive(Debug, Deserialize)]
pub(super) struct Feed {
    pub(super) position: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    offset: Option<u64>,
    #[serde(default)]
    recent: Vec<Entry>,
    #[serde(default)]
    entries: Vec<Entry>,
    #[serde(default)]
    totals: Vec<Totals>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    offset: u64,
    kind: String,
    amount: Option<String>,
    unit: Option<String>,
    meter: Option<String>,
    category: Option<String>,
    description: Option<String>,
    time: String,
    #[serde(flatten)]
    alert: Option<Alert>,
}

/// What only an alert has.
#[derive(Debug, Deserialize)]
struct Alert {
    budget: String,
    threshold: u16,
    spent: String,
    limit: String,
}

#[derive(Debug, Deserialize)]
struct Totals {
    meter: String,
    unit: String,
    all: Window,
    month: Option<Window>,
    day: Option<Window>,
}

#[derive(Debug, Deserialize)]
struct Window {
    amount: String,
    count: i64,
}

impl Feed {
    /// A line for each entry, then one for each total that came with them.
    pub(super) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        if self.kind == "snapshot" {
            let reason = self.reason.as_deref().unwrap_or_default();
            writeln!(
                out,
                "snapshot at {} ({})",
                self.offset.unwrap_or(0),
                Plain(reason)
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

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, .. } = self;
        write!(f, "#{offset}  {}  {}", Plain(&self.time), Plain(&self.kind))?;
        if let Some(alert) = &self.alert {
            let unit = self.unit.as_deref().unwrap_or_default();
            return write!(f, "  {alert} {}", Plain(unit));
        }
        let fields = [
            &self.meter,
            &self.amount,
            &self.unit,
            &self.category,
            &self.description,
        ];
        for field in fields.into_iter().flatten() {
            write!(f, "  {}", Plain(field))?;
        }
        Ok(())
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (budget, spent, limit) = (Plain(&self.budget), Plain(&self.spent), Plain(&self.limit));
        write!(f, "{budget}  {} %: {spent} of {limit}", self.threshold)
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Window { amount, count } = &self.all;
        let (meter, unit) = (Plain(&self.meter), Plain(&self.unit));
        write!(f, "total  {meter}  {} {unit} ({count})", Plain(amount))?;
        for (name, window) in [("month", &self.month), ("day", &self.day)] {
            if let Some(window) = window {
                write!(f, "  {name} {} ({})", Plain(&window.amount), window.count)?;
            }
        }
        Ok(())
    }
}

/// Text from elsewhere, without what would steer the terminal: control characters, and those that
/// turn the direction of writing.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            let steers = character.is_control()
                || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            if steers {
                write!(f, "{}", character.escape_default())?;
            } else {
                write!(f, "{character}")?;
            }
        }
        Ok(())
    }
}
