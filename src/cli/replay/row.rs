use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;
use tallycast::{Account, Event, domain::Amount};

use super::row_time::{RowTime, RowZone};
use crate::cli::table::{Cells, RowLocation, TableError};

/// A row that can become an event, once the time zone of its account is known.
#[derive(Debug, Clone)]
pub(super) struct ReplayRow {
    pub(super) location: RowLocation,
    pub(super) account: Account,
    pub(super) when: RowTime,
    amount: String,
    category: Option<String>,
    quantity: Option<String>,
}

/// A row's event, ready to be sent.
#[derive(Debug, Clone)]
pub(super) struct RowEvent {
    pub(super) location: RowLocation,
    /// When it happened; for a date without a time of day, the time that the row was given.
    pub(super) happened: Timestamp,
    pub(super) json: String,
}

/// How the rows of one file become events.
#[derive(Debug)]
pub(super) struct RowMapping {
    file: PathBuf,
    file_name: String,
    source: String,
    meter: String,
    unit: String,
    with_time: bool,
}

#[derive(Serialize)]
struct EventLine<'a> {
    id: String,
    source: &'a str,
    account: &'a str,
    amount: &'a str,
    unit: &'a str,
    meter: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<RowAttributes<'a>>,
}

#[derive(Serialize)]
struct RowAttributes<'a> {
    quantity: &'a str,
}

/// The digits that a row's number may need after the file's name.
const ROW_DIGITS_MAX: usize = 12;

impl RowMapping {
    /// `with_time`: events carry the time of their row. Otherwise the server uses the time of arrival; as a second
    /// replay leaves the time out too, its events are still duplicates.
    pub(super) fn new(
        file: &Path,
        source: Option<String>,
        meter: String,
        unit: String,
        with_time: bool,
    ) -> Result<Self, TableError> {
        let name = file.file_name().and_then(|name| name.to_str());
        let chars_max = Event::ID_CHARS_MAX - ROW_DIGITS_MAX;
        let Some(name) = name.filter(|name| name.chars().count() <= chars_max) else {
            return Err(TableError::whole(
                file,
                format!(
                    "the ids of the rows contain the file's name: rename it to at most {chars_max} characters \
                     of UTF-8"
                ),
            ));
        };
        Ok(Self {
            file: file.to_owned(),
            file_name: name.to_owned(),
            source: source.unwrap_or_else(|| name.to_owned()),
            meter,
            unit,
            with_time,
        })
    }

    /// The row with these cells, checked.
    pub(super) fn row(&self, cells: &Cells<'_>) -> Result<ReplayRow, TableError> {
        let location = cells.location;
        let bad = |message: String| TableError::at(&self.file, location, message);
        let account = Account::parse(cells.account).map_err(|e| bad(e.to_string()))?;
        check_amount(cells.amount).map_err(bad)?;
        let text = |cell: Option<&str>| cell.filter(|text| !text.is_empty()).map(str::to_owned);
        let row = ReplayRow {
            location,
            account,
            when: RowTime::parse(cells.time).map_err(bad)?,
            amount: cells.amount.to_owned(),
            category: text(cells.category),
            quantity: text(cells.quantity),
        };
        // A time is as long in every zone.
        if self.event(&row, &RowZone::Unknown).json.len() > Event::BYTES_MAX {
            return Err(bad("the event is too long: the limit is 16 KiB".to_owned()));
        }
        Ok(row)
    }

    /// The event of a row whose account is in this zone.
    pub(super) fn event(&self, row: &ReplayRow, zone: &RowZone) -> RowEvent {
        let happened = row.when.instant(row.location.row, zone);
        let json = EventLine {
            id: format!("{}:{}", self.file_name, row.location.row),
            source: &self.source,
            account: row.account.as_str(),
            amount: &row.amount,
            unit: &self.unit,
            meter: &self.meter,
            category: row.category.as_deref(),
            time: self.with_time.then(|| happened.to_string()),
            attributes: row
                .quantity
                .as_deref()
                .map(|quantity| RowAttributes { quantity }),
        };
        RowEvent {
            location: row.location,
            happened,
            json: serde_json::to_string(&json).expect("strings are JSON"),
        }
    }
}

impl ReplayRow {
    /// The memory that its text takes.
    pub(super) fn text_bytes(&self) -> usize {
        let optional = [&self.category, &self.quantity];
        let optional = optional.into_iter().flatten().map(String::len);
        self.account.as_str().len() + self.amount.len() + optional.sum::<usize>()
    }
}

fn check_amount(text: &str) -> Result<(), String> {
    match text.parse::<Amount>() {
        Ok(amount) if amount.is_negative() => Err(format!(
            "the amount `{text}` is below zero: a row is a consumption; remove the row, and post the \
             correction as a reversal or an adjustment"
        )),
        Ok(_) => Ok(()),
        Err(error) => Err(format!("the amount `{text}` cannot be read: {error}")),
    }
}
