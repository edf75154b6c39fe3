//! The table of past days: one row for each day, meter and unit.

use jiff::{ToSpan, civil::Date};
use rusqlite::{Connection, OptionalExtension};

use crate::{
    domain::DayTotals,
    ledger::{DayPage, DayRange, LedgerError},
};

/// Dates are stored as days since this one.
const FIRST: Date = Date::constant(1970, 1, 1);

/// Reads days by date, and the start of the first period that is left out.
pub(super) fn read_days(
    connection: &Connection,
    number: i64,
    range: DayRange,
) -> Result<(Vec<DayTotals>, Option<Date>), LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT date, meter, unit, sums FROM day
         WHERE account = ?1 AND date >= ?2 AND date < ?3 ORDER BY date, meter, unit",
    )?;
    let mut rows = statement.query((number, to_sql(range.from), to_sql(range.until)))?;
    let mut page = DayPage::new(range);
    while let Some(row) = rows.next()? {
        let date = from_sql(row.get(0)?)?;
        let sums = row.get_ref(3)?.as_str().map_err(unreadable_sums)?;
        if !page.reserve(date, sums.len()) {
            break;
        }
        page.push(DayTotals {
            date,
            meter: row.get(1)?,
            unit: row.get(2)?,
            sums: read_sums(sums)?,
        });
    }
    Ok(page.finish())
}

pub(super) fn find_day(
    connection: &Connection,
    number: i64,
    date: Date,
    meter: &str,
    unit: &str,
) -> Result<Option<DayTotals>, LedgerError> {
    let sums = connection
        .prepare_cached(
            "SELECT sums FROM day WHERE account = ?1 AND date = ?2 AND meter = ?3 AND unit = ?4",
        )?
        .query_row((number, to_sql(date), meter, unit), |row| {
            row.get::<_, String>(0)
        })
        .optional()?;
    let Some(sums) = sums else { return Ok(None) };
    Ok(Some(DayTotals {
        date,
        meter: meter.to_owned(),
        unit: unit.to_owned(),
        sums: read_sums(&sums)?,
    }))
}

pub(super) fn write_day(
    connection: &Connection,
    number: i64,
    day: &DayTotals,
) -> rusqlite::Result<()> {
    let sums = serde_json::to_string(&day.sums).expect("sums have only strings as keys");
    connection
        .prepare_cached(
            "INSERT INTO day (account, date, meter, unit, sums) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO UPDATE SET sums = excluded.sums",
        )?
        .execute((number, to_sql(day.date), &day.meter, &day.unit, sums))
        .map(drop)
}

pub(super) fn delete_days(connection: &Connection, number: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM day WHERE account = ?1")?
        .execute([number])
        .map(drop)
}

fn read_sums<T: serde::de::DeserializeOwned>(json: &str) -> Result<T, LedgerError> {
    serde_json::from_str(json).map_err(unreadable_sums)
}

fn unreadable_sums(error: impl std::error::Error) -> LedgerError {
    LedgerError::new(format!("a day's sums are unreadable: {error}"))
}

fn to_sql(date: Date) -> i32 {
    (date - FIRST).get_days()
}

fn from_sql(days: i32) -> Result<Date, LedgerError> {
    let date = FIRST.checked_add(days.days());
    date.map_err(|error| LedgerError::new(error.to_string()))
}
