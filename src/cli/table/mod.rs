//! A CSV file, read row by row.

mod strict_csv;

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use clap::Args;
use csv::{ErrorKind, Reader, ReaderBuilder, StringRecord, Trim};

use strict_csv::{CsvError, Place, StrictCsv};

/// The names of the columns.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct Columns {
    /// Column with the account
    #[arg(
        long = "account-column",
        value_name = "NAME",
        default_value = "customer_id"
    )]
    pub(in crate::cli) account: String,
    /// Column with the time: a date, or a date and time
    #[arg(long = "time-column", value_name = "NAME", default_value = "date")]
    pub(in crate::cli) time: String,
    /// Column with the amount
    #[arg(long = "amount-column", value_name = "NAME", default_value = "dollars")]
    pub(in crate::cli) amount: String,
    /// Column with the category
    #[arg(long = "category-column", value_name = "NAME")]
    pub(in crate::cli) category: Option<String>,
    /// Column with the quantity; recorded as the attribute `quantity`
    #[arg(long = "quantity-column", value_name = "NAME")]
    pub(in crate::cli) quantity: Option<String>,
}

/// One row, as text.
#[derive(Debug)]
pub(in crate::cli) struct Cells<'a> {
    pub(in crate::cli) location: RowLocation,
    pub(in crate::cli) account: &'a str,
    pub(in crate::cli) time: &'a str,
    pub(in crate::cli) amount: &'a str,
    pub(in crate::cli) category: Option<&'a str>,
    pub(in crate::cli) quantity: Option<&'a str>,
}

/// A row's number, counted from 1 after the header, and its line in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) struct RowLocation {
    pub(in crate::cli) row: u64,
    pub(in crate::cli) line: u64,
}

/// A CSV file and the place up to which it has been read.
pub(in crate::cli) struct Table<R> {
    name: PathBuf,
    reader: Reader<StrictCsv<R>>,
    record: StringRecord,
    indexes: ColumnIndexes,
    row: u64,
}

#[derive(Debug, Clone, Copy)]
struct ColumnIndexes {
    account: usize,
    time: usize,
    amount: usize,
    category: Option<usize>,
    quantity: Option<usize>,
}

impl<R: io::Read> Table<R> {
    /// Reads a table from any reader. Errors call it `name`.
    pub(in crate::cli) fn read(
        reader: R,
        name: impl Into<PathBuf>,
        columns: &Columns,
    ) -> Result<Self, TableError> {
        let name = name.into();
        let mut reader = ReaderBuilder::new()
            .trim(Trim::All)
            .from_reader(StrictCsv::new(reader));
        let header = reader.headers().map_err(|error| csv_error(&name, error))?;
        let indexes = ColumnIndexes::find(header, columns, &name)?;
        Ok(Self {
            name,
            reader,
            record: StringRecord::new(),
            indexes,
            row: 0,
        })
    }

    /// The next row, or `None` after the last.
    pub(in crate::cli) fn next_row(&mut self) -> Result<Option<Cells<'_>>, TableError> {
        let read = self.reader.read_record(&mut self.record);
        if !read.map_err(|error| csv_error(&self.name, error))? {
            return Ok(None);
        }
        self.row += 1;
        let cell = |index| &self.record[index];
        Ok(Some(Cells {
            location: RowLocation {
                row: self.row,
                line: self.record.position().map_or(0, csv::Position::line),
            },
            account: cell(self.indexes.account),
            time: cell(self.indexes.time),
            amount: cell(self.indexes.amount),
            category: self.indexes.category.map(cell),
            quantity: self.indexes.quantity.map(cell),
        }))
    }
}

impl ColumnIndexes {
    fn find(header: &StringRecord, columns: &Columns, file: &Path) -> Result<Self, TableError> {
        let find = |name: &str, option: &str| {
            // Spreadsheets often write a byte order mark at the start of a file.
            let is_it = |cell: &str| cell.trim_start_matches('\u{feff}') == name;
            let mut found = header.iter().enumerate().filter(|(_, cell)| is_it(cell));
            match (found.next(), found.next()) {
                (Some((index, _)), None) => Ok(index),
                (Some(_), Some(_)) => Err(TableError::whole(
                    file,
                    format!("two columns are named `{name}`: rename one"),
                )),
                (None, _) => Err(TableError::whole(
                    file,
                    format!(
                        "no column `{name}`; the first row has {}. Name the column with {option}",
                        names(header)
                    ),
                )),
            }
        };
        let optional = |name: &Option<String>, option| {
            let found = name.as_deref().map(|name| find(name, option));
            found.transpose()
        };
        Ok(Self {
            account: find(&columns.account, "--account-column")?,
            time: find(&columns.time, "--time-column")?,
            amount: find(&columns.amount, "--amount-column")?,
            category: optional(&columns.category, "--category-column")?,
            quantity: optional(&columns.quantity, "--quantity-column")?,
        })
    }
}

/// The most column names that an error lists.
const NAMES_SHOWN_MAX: usize = 20;

fn names(header: &StringRecord) -> String {
    if header.is_empty() {
        return "no names".to_owned();
    }
    let names: Vec<_> = header
        .iter()
        .take(NAMES_SHOWN_MAX)
        .map(|name| format!("`{name}`"))
        .collect();
    let more = if header.len() > NAMES_SHOWN_MAX {
        " …"
    } else {
        ""
    };
    format!("{}{more}", names.join(", "))
}

/// What is wrong with a file, where, and how to fix it.
#[derive(Debug)]
pub(in crate::cli) struct TableError {
    file: PathBuf,
    location: ErrorLocation,
    message: String,
}

#[derive(Debug)]
enum ErrorLocation {
    File,
    Row(RowLocation),
    Place(Place),
}

impl TableError {
    /// An error about the file as a whole.
    pub(in crate::cli) fn whole(file: &Path, message: String) -> Self {
        Self {
            file: file.to_owned(),
            location: ErrorLocation::File,
            message,
        }
    }

    /// An error about one row.
    pub(in crate::cli) fn at(file: &Path, location: RowLocation, message: String) -> Self {
        Self {
            file: file.to_owned(),
            location: ErrorLocation::Row(location),
            message,
        }
    }
}

fn csv_error(file: &Path, error: csv::Error) -> TableError {
    // The record number counts the header.
    let row = error.position().map(|position| RowLocation {
        row: position.record(),
        line: position.line(),
    });
    let mut location = row.map_or(ErrorLocation::File, ErrorLocation::Row);
    let text = error.to_string();
    let message = match error.into_kind() {
        ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => format!(
            "it has {len} cells and the first row has {expected_len}: put cells that hold a comma in quotes"
        ),
        ErrorKind::Utf8 { .. } => "not UTF-8: save the file as UTF-8".to_owned(),
        ErrorKind::Io(error) => match error.downcast::<CsvError>() {
            Ok(error) => {
                location = ErrorLocation::Place(error.place);
                error.to_string()
            }
            Err(error) => format!("cannot be read: {error}"),
        },
        _ => text,
    };
    TableError {
        file: file.to_owned(),
        location,
        message,
    }
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            location,
            message,
        } = self;
        let file = file.display();
        match location {
            ErrorLocation::Row(RowLocation { row, line }) => {
                write!(f, "{file}, row {row} (line {line}): {message}")
            }
            ErrorLocation::Place(Place { line, column }) => {
                write!(f, "{file}, line {line}, column {column}: {message}")
            }
            ErrorLocation::File => write!(f, "{file}: {message}"),
        }
    }
}

impl std::error::Error for TableError {}
