use std::path::{Path, PathBuf};

use jiff::{Timestamp, civil, tz::TimeZone};
use serde::Serialize;
use tallycast::{Account, Event, domain::Amount};

use crate::cli::table::{Cells, RowLocation, TableError};

/// A row's event, ready to be sent.
#[derive(Debug, Clone)]
pub(super) struct RowEvent {
    pub(super) location: RowLocation,
    pub(super) when: RowTime,
    /// When it happened; for a date without a time of day, the time that the row was given.
    pub(super) happened: Timestamp,
    pub(super) json: String,
}

/// The value of a time cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowTime {
    /// A date without a time of day.
    Day(civil::Date),
    /// An instant. Without an offset it is in UTC.
    Instant(Timestamp),
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

    /// The event of a row.
    pub(super) fn event(&self, cells: &Cells<'_>) -> Result<RowEvent, TableError> {
        let location = cells.location;
        let bad = |message: String| TableError::at(&self.file, location, message);
        Account::parse(cells.account).map_err(|e| bad(e.to_string()))?;
        check_amount(cells.amount).map_err(bad)?;
        let when = RowTime::parse(cells.time).map_err(bad)?;
        let happened = when.instant(location.row);
        let json = EventLine {
            id: format!("{}:{}", self.file_name, location.row),
            source: &self.source,
            account: cells.account,
            amount: cells.amount,
            unit: &self.unit,
            meter: &self.meter,
            category: cells.category.filter(|text| !text.is_empty()),
            time: self.with_time.then(|| happened.to_string()),
            attributes: cells
                .quantity
                .filter(|text| !text.is_empty())
                .map(|quantity| RowAttributes { quantity }),
        };
        let json = serde_json::to_string(&json).expect("strings are JSON");
        if json.len() > Event::BYTES_MAX {
            return Err(bad("the event is too long: the limit is 16 KiB".to_owned()));
        }
        Ok(RowEvent {
            location,
            when,
            happened,
            json,
        })
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

/// A step that visits every second of a day once before it returns to the first (it has no factor in common with
/// 86,400). It is close to a day divided by the golden ratio, so that a few consecutive rows are far apart.
const DAY_STEP_SECONDS: u64 = 53_401;
const DAY_SECONDS: u64 = 86_400;

impl RowTime {
    fn parse(text: &str) -> Result<Self, String> {
        if let Ok(instant) = text.parse::<Timestamp>() {
            return Ok(Self::Instant(instant));
        }
        let in_utc = |time: civil::DateTime| time.to_zoned(TimeZone::UTC).map(|z| z.timestamp());
        let has_clock = text.contains(':');
        match (has_clock, text.parse::<civil::DateTime>()) {
            (true, Ok(time)) if in_utc(time).is_ok() => {
                Ok(Self::Instant(in_utc(time).expect("just tried")))
            }
            (false, Ok(time)) => Ok(Self::Day(time.date())),
            _ => Err(format!(
                "the time `{text}` cannot be read: write a date as 1997-01-31, or with a time of day as \
                 1997-01-31T09:30:00Z"
            )),
        }
    }

    /// The instant. A date without a time of day gets one that depends only on the row's number, so that rows keep
    /// their events when the file grows.
    fn instant(self, row: u64) -> Timestamp {
        match self {
            Self::Instant(instant) => instant,
            Self::Day(date) => {
                let second = row.wrapping_mul(DAY_STEP_SECONDS) % DAY_SECONDS;
                let seconds = i64::try_from(second).expect("a day has few seconds");
                let midnight = date.to_datetime(civil::Time::midnight());
                midnight
                    .to_zoned(TimeZone::UTC)
                    .map_or(Timestamp::MIN, |zoned| zoned.timestamp())
                    .saturating_add(jiff::SignedDuration::from_secs(seconds))
                    .unwrap_or(Timestamp::MAX)
            }
        }
    }
}
