use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use clap::Args;
use csv::{ErrorKind, Reader, ReaderBuilder, StringRecord, Trim};

/// Which columns of a file say what.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct Columns {
    /// The column that names whose consumption it is
    #[arg(
        long = "account-column",
        value_name = "NAME",
        default_value = "customer_id"
    )]
    pub(in crate::cli) account: String,
    /// The column that says when: a date, or a date and time
    #[arg(long = "time-column", value_name = "NAME", default_value = "date")]
    pub(in crate::cli) time: String,
    /// The column that says how much
    #[arg(long = "amount-column", value_name = "NAME", default_value = "dollars")]
    pub(in crate::cli) amount: String,
    /// The column that says on what
    #[arg(long = "category-column", value_name = "NAME")]
    pub(in crate::cli) category: Option<String>,
    /// The column that says how many; kept as the attribute `quantity`
    #[arg(long = "quantity-column", value_name = "NAME")]
    pub(in crate::cli) quantity: Option<String>,
}

/// One row, as text.
#[derive(Debug)]
pub(in crate::cli) struct Cells<'a> {
    pub(in crate::cli) place: Place,
    pub(in crate::cli) account: &'a str,
    pub(in crate::cli) time: &'a str,
    pub(in crate::cli) amount: &'a str,
    pub(in crate::cli) category: Option<&'a str>,
    pub(in crate::cli) quantity: Option<&'a str>,
}

/// Where a row is: its number, counted from 1 after the header, and its line in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) struct Place {
    pub(in crate::cli) row: u64,
    pub(in crate::cli) line: u64,
}

/// A CSV file that is read row by row.
pub(in crate::cli) struct Table<R> {
    name: PathBuf,
    reader: Reader<R>,
    record: StringRecord,
    indexes: Indexes,
    row: u64,
}

#[derive(Debug, Clone, Copy)]
struct Indexes {
    account: usize,
    time: usize,
    amount: usize,
    category: Option<usize>,
    quantity: Option<usize>,
}

impl Table<std::fs::File> {
    /// Opens a file and finds its columns.
    pub(in crate::cli) fn open(path: &Path, columns: &Columns) -> Result<Self, TableError> {
        let file = std::fs::File::open(path)
            .map_err(|error| TableError::whole(path, format!("it cannot be opened: {error}")))?;
        Self::read(file, path, columns)
    }
}

impl<R: io::Read> Table<R> {
    /// Reads a table from anything; `name` is what errors call it.
    pub(in crate::cli) fn read(
        reader: R,
        name: impl Into<PathBuf>,
        columns: &Columns,
    ) -> Result<Self, TableError> {
        let name = name.into();
        let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(reader);
        let header = reader.headers().map_err(|error| csv_error(&name, error))?;
        let indexes = Indexes::find(header, columns, &name)?;
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
            place: Place {
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

impl Indexes {
    fn find(header: &StringRecord, columns: &Columns, file: &Path) -> Result<Self, TableError> {
        let find = |name: &str, option: &str| {
            // Spreadsheets like to begin a file with a byte order mark.
            let is_it = |cell: &str| cell.trim_start_matches('\u{feff}') == name;
            let mut found = header.iter().enumerate().filter(|(_, cell)| is_it(cell));
            match (found.next(), found.next()) {
                (Some((index, _)), None) => Ok(index),
                (Some(_), Some(_)) => Err(TableError::whole(
                    file,
                    format!("two columns are called `{name}`: rename one"),
                )),
                (None, _) => Err(TableError::whole(
                    file,
                    format!(
                        "it has no column `{name}`; its first row names {}. Say which one it is with {option}",
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

/// The most column names that a complaint lists.
const NAMES_SHOWN_MAX: usize = 20;

fn names(header: &StringRecord) -> String {
    if header.is_empty() {
        return "nothing".to_owned();
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

/// What is wrong with a file, where, and what to do about it.
#[derive(Debug)]
pub(in crate::cli) struct TableError {
    file: PathBuf,
    place: Option<Place>,
    message: String,
}

impl TableError {
    /// Something about the file as a whole.
    pub(in crate::cli) fn whole(file: &Path, message: String) -> Self {
        Self {
            file: file.to_owned(),
            place: None,
            message,
        }
    }

    /// Something about one row.
    pub(in crate::cli) fn at(file: &Path, place: Place, message: String) -> Self {
        Self {
            file: file.to_owned(),
            place: Some(place),
            message,
        }
    }
}

fn csv_error(file: &Path, error: csv::Error) -> TableError {
    // The record number counts the header.
    let place = error.position().map(|position| Place {
        row: position.record(),
        line: position.line(),
    });
    let message = match error.kind() {
        ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => format!(
            "it has {len} cells and the first row has {expected_len}: put cells that hold a comma in quotes"
        ),
        ErrorKind::Utf8 { .. } => "it is not UTF-8: save the file as UTF-8".to_owned(),
        _ => error.to_string(),
    };
    TableError {
        file: file.to_owned(),
        place,
        message,
    }
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            place,
            message,
        } = self;
        let file = file.display();
        match place {
            Some(Place { row, line }) => write!(f, "{file}, row {row} (line {line}): {message}"),
            None => write!(f, "{file}: {message}"),
        }
    }
}

impl std::error::Error for TableError {}
