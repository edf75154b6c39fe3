use std::{fs::File, io::Take};

use super::{
    input::ReplayInput,
    row::{ReplayRow, RowEvent, RowMapping},
    zones::AccountZones,
};
use crate::cli::table::{Columns, Table, TableError};

/// The most rows of one day that are sorted by time, about a big shop's sales in a day. A longer day is sorted in
/// parts of this size, which changes no total.
const DAY_ROWS_MAX: usize = 100_000;

/// The most rows with a time of day that are read at once: enough to ask for many time zones together.
const ROWS_MAX: usize = 500;

/// The most text of rows that are read at once: ordinary rows have a few dozen bytes, and the longest 16 KiB.
const TEXT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A file's rows in groups, which are sent one after the other: the rows of a date without a time of day, which are
/// sorted by the time that they are given, or rows with a time of day.
pub(super) struct Plan {
    table: Table<Take<File>>,
    mapping: RowMapping,
    rows: u64,
    has_local_times: bool,
    /// The row after the last group, already read.
    next: Option<ReplayRow>,
}

impl Plan {
    /// Reads the whole file first, so that nothing is sent from a file with an error.
    pub(super) fn of(
        mut input: ReplayInput,
        columns: &Columns,
        mapping: RowMapping,
    ) -> Result<Self, TableError> {
        let path = input.path().to_owned();
        let mut table = Table::read(&mut input, &path, columns)?;
        let (mut rows, mut has_local_times) = (0, false);
        while let Some(cells) = table.next_row()? {
            has_local_times |= mapping.row(&cells)?.when.is_local();
            rows += 1;
        }
        Ok(Self {
            table: Table::read(input.again()?, path, columns)?,
            mapping,
            rows,
            has_local_times,
            next: None,
        })
    }

    /// The number of rows in the file.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Whether any row's time depends on the time zone of its account.
    pub(super) fn has_local_times(&self) -> bool {
        self.has_local_times
    }

    /// The next rows to send; none after the last.
    pub(super) fn next_group(&mut self) -> Result<Vec<ReplayRow>, TableError> {
        let Some(first) = self.take_row()? else {
            return Ok(Vec::new());
        };
        let day = first.when.day();
        let rows_max = match day {
            Some(_) => DAY_ROWS_MAX,
            None => ROWS_MAX,
        };
        let mut bytes = first.text_bytes();
        let mut group = vec![first];
        while group.len() < rows_max && bytes < TEXT_BYTES_MAX {
            match self.take_row()? {
                Some(row) if row.when.day() == day => {
                    bytes += row.text_bytes();
                    group.push(row);
                }
                other => {
                    self.next = other;
                    break;
                }
            }
        }
        Ok(group)
    }

    /// The events of a group, in the order in which they are sent.
    pub(super) fn events(&self, group: &[ReplayRow], zones: &AccountZones) -> Vec<RowEvent> {
        let event = |row: &ReplayRow| self.mapping.event(row, zones.of(&row.account));
        let mut events: Vec<_> = group.iter().map(event).collect();
        if group.iter().all(|row| row.when.day().is_some()) {
            events.sort_by_key(|event| event.happened);
        }
        events
    }

    fn take_row(&mut self) -> Result<Option<ReplayRow>, TableError> {
        if let Some(row) = self.next.take() {
            return Ok(Some(row));
        }
        let cells = self.table.next_row()?;
        cells.map(|cells| self.mapping.row(&cells)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;
    use jiff::tz::TimeZone;
    use serde_json::Value;
    use std::{
        collections::HashSet,
        path::{Path, PathBuf},
    };

    #[derive(clap::Parser)]
    struct ColumnFlags {
        #[command(flatten)]
        columns: Columns,
    }

    fn columns(options: &[&str]) -> Columns {
        ColumnFlags::parse_from([&["replay"], options].concat()).columns
    }

    struct Written {
        _folder: tempfile::TempDir,
        path: PathBuf,
    }

    fn written(text: impl AsRef<[u8]>) -> Written {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sales.csv");
        std::fs::write(&path, text).unwrap();
        Written {
            _folder: folder,
            path,
        }
    }

    fn mapping(file: &Path, with_time: bool) -> RowMapping {
        RowMapping::new(file, None, "spend".to_owned(), "USD".to_owned(), with_time).unwrap()
    }

    fn events_with(text: &str, options: &[&str], with_time: bool) -> Vec<Value> {
        let file = written(text);
        let mapping = mapping(&file.path, with_time);
        let input = ReplayInput::open(&file.path).unwrap();
        let mut plan = Plan::of(input, &columns(options), mapping).unwrap();
        let mut events = Vec::<Value>::new();
        let zones = AccountZones::one(TimeZone::UTC);
        loop {
            let group = plan.next_group().unwrap();
            if group.is_empty() {
                break;
            }
            let group = plan.events(&group, &zones);
            events.extend(
                group
                    .iter()
                    .map(|event| serde_json::from_str(&event.json).unwrap()),
            );
        }
        assert_eq!(events.len() as u64, plan.rows());
        events
    }

    fn events(text: &str) -> Vec<Value> {
        events_with(text, &[], true)
    }

    fn error_of(text: impl AsRef<[u8]>, options: &[&str]) -> String {
        let file = written(text);
        let mapping = mapping(&file.path, true);
        let input = ReplayInput::open(&file.path).unwrap();
        let refused = Plan::of(input, &columns(options), mapping).map(|_| ());
        let message = refused.unwrap_err().to_string();
        let folder = file.path.parent().unwrap().to_str().unwrap();
        message.replace(&format!("{folder}/"), "")
    }

    const HEADER: &str = "customer_id,date,quantity,dollars\n";

    #[test]
    fn an_id_is_the_file_name_and_the_row_number() {
        let events = events(&format!(
            "{HEADER}a,1997-01-01,1,2.50\nb,1997-01-02,1,3.00\n"
        ));
        assert_eq!(events[0]["id"], "sales.csv:1");
        assert_eq!(events[1]["id"], "sales.csv:2");
        assert_eq!(events[1]["source"], "sales.csv");
        assert_eq!(events[1]["account"], "b");
        assert_eq!(
            (&events[1]["amount"], &events[1]["unit"]),
            (&"3.00".into(), &"USD".into())
        );
    }

    #[test]
    fn a_day_is_spread_over_its_hours_and_sent_in_order() {
        let rows = "a,1997-01-01,1,1.00\n".repeat(200);
        let times: Vec<_> = events(&format!("{HEADER}{rows}"))
            .iter()
            .map(|event| event["time"].as_str().unwrap().to_owned())
            .collect();
        assert!(times.is_sorted());
        assert!(times.iter().all(|time| time.starts_with("1997-01-01T")));
        let hours: HashSet<_> = times.iter().map(|time| &time[..13]).collect();
        assert_eq!(hours.len(), 24);
    }

    #[test]
    fn a_file_that_grew_gives_its_old_rows_the_same_events() {
        let row = "a,1997-01-01,1,1.00\n";
        let short = events(&format!("{HEADER}{}", row.repeat(3)));
        let long = events(&format!("{HEADER}{}", row.repeat(50)));
        for event in short {
            assert!(long.contains(&event), "{event}");
        }
    }

    #[test]
    fn without_times_an_event_has_no_time() {
        let events = events_with(&format!("{HEADER}a,1997-01-01,1,1.00\n"), &[], false);
        assert_eq!(events[0].get("time"), None);
    }

    #[test]
    fn times_of_day_are_preserved() {
        let text = format!(
            "{HEADER}a,1997-01-01T10:00:00+08:00,1,1\nb,1997-01-01 09:30:00,1,1\nc,1997-01-01,1,1\n"
        );
        let times: Vec<_> = events(&text)
            .into_iter()
            .map(|e| e["time"].clone())
            .collect();
        assert_eq!(times[0], "1997-01-01T02:00:00Z");
        assert_eq!(times[1], "1997-01-01T09:30:00Z");
    }

    #[test]
    fn columns_can_have_other_names_and_orders() {
        let text = "what,how much,who,when,n\nbooks,7,eve,1997-01-01,2\n";
        let options = [
            "--account-column=who",
            "--amount-column=how much",
            "--time-column=when",
            "--category-column=what",
            "--quantity-column=n",
        ];
        let event = events_with(text, &options, true).remove(0);
        assert_eq!(event["account"], "eve");
        assert_eq!(event["category"], "books");
        assert_eq!(event["attributes"]["quantity"], "2");
    }

    #[test]
    fn an_error_names_its_row_and_its_cure() {
        let at = |row: &str| error_of(format!("{HEADER}a,1997-01-01,1,1.00\n{row}\n"), &[]);
        assert_eq!(
            at("b,1997-01-02,1,$3"),
            "sales.csv, row 2 (line 3): the amount `$3` cannot be read: an amount is a decimal such as \
             \"12.50\": digits, an optional sign `-` and fraction, no exponent"
        );
        assert!(at("b,1997-01-02,1,-3").contains("below zero"));
        assert!(at("b,31.01.1997,1,3").contains("write a date as 1997-01-31"));
        assert!(at("b,1997-02-30,1,3").contains("1997-02-30"));
        assert!(at("b/c,1997-01-02,1,3").contains("an account is 1 to 128 bytes"));
        assert!(at("b,1997-01-02,1,1,003").contains("it has 5 cells and the first row has 4"));
    }

    #[test]
    fn an_error_about_a_missing_column_lists_the_columns() {
        assert_eq!(
            error_of("who,date,dollars\n", &[]),
            "sales.csv: no column `customer_id`; the first row has `who`, `date`, `dollars`. \
             Name the column with --account-column"
        );
        assert!(error_of("date,date,customer_id,dollars\n", &[]).contains("two columns"));
        assert!(error_of(HEADER, &["--category-column=genre"]).contains("--category-column"));
        assert!(error_of("", &[]).contains("the first row has no names"));
    }

    #[test]
    fn an_error_about_text_that_is_not_utf_8_names_the_row() {
        let mut text = format!("{HEADER}a,1997-01-01,1,1.00\n").into_bytes();
        text.extend(b"b\xff,1997-01-01,1,1.00\n");
        let message = error_of(text, &[]);
        assert!(
            message.starts_with("sales.csv, row 2 (line 3): not UTF-8"),
            "{message}"
        );
    }

    #[test]
    fn a_byte_order_mark_is_not_part_of_a_column_name() {
        let text = "\u{feff}customer_id,date,dollars\na,1997-01-01,1\n";
        assert_eq!(events(text)[0]["account"], "a");
    }
}
