//! Measures interleaved rounds, and prints them as a table.

use std::fmt::Write;

use crate::{
    generator::{BenchError, Measured},
    median::median,
    settings::Settings,
};

/// The most attempts at a round that is void or disturbed.
const TRIES_MAX: usize = 3;

/// The payloads of a workload may differ by this share.
const PAYLOAD_SPREAD_MAX: f64 = 0.05;

/// Why a round is void.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Void {
    #[error("{0}")]
    Bench(#[from] BenchError),
    #[error("messages of {0:.0} bytes instead of {1}")]
    Size(f64, usize),
}

/// The figures of one row in one round.
pub(crate) struct Figures<const N: usize> {
    pub(crate) values: [f64; N],
    /// Processor time of other processes meanwhile, as a share of one processor.
    pub(crate) others: f64,
}

/// A figure's name, and its number of decimals.
#[derive(Clone, Copy)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) decimals: usize,
}

/// A server in a workload.
pub(crate) struct Row<'a, const N: usize> {
    name: String,
    measure: Box<dyn Fn() -> Result<Figures<N>, Void> + 'a>,
    rounds: Vec<[f64; N]>,
    notes: Vec<String>,
}

impl<'a, const N: usize> Row<'a, N> {
    pub(crate) fn new(
        name: impl Into<String>,
        measure: impl Fn() -> Result<Figures<N>, Void> + 'a,
    ) -> Self {
        Self {
            name: name.into(),
            measure: Box::new(measure),
            rounds: Vec::new(),
            notes: Vec::new(),
        }
    }
}

/// The table of a workload: columns of figures, and a row for each server. The ratio is that of the first column.
pub(crate) struct Table<'a, const N: usize> {
    pub(crate) title: String,
    pub(crate) columns: [Column; N],
    /// The row that the ratios are relative to.
    pub(crate) base: &'static str,
    pub(crate) rows: Vec<Row<'a, N>>,
}

impl<const N: usize> Table<'_, N> {
    /// Measures the rows in turn, round by round, and prints the table.
    pub(crate) fn run(mut self, settings: &Settings) {
        self.rows.retain(|row| settings.has_row(&row.name));
        for round in 0..settings.rounds {
            for row in &mut self.rows {
                eprintln!("{}, round {}: {}", self.title, round + 1, row.name);
                row.measure_round(settings);
            }
        }
        print!("{}", self.markdown(settings.rounds));
    }

    fn markdown(mut self, rounds: usize) -> String {
        let base = self.rows.iter().find(|row| row.name == self.base);
        let base = base
            .and_then(|row| row.summary(0))
            .map(|summary| summary.median);
        let mut text = format!("\n## {}\n\n|  |", self.title);
        let names = self.columns.iter().map(|column| column.name);
        let ratio = format!("ratio to {}", self.base);
        let mut names: Vec<&str> = names.collect();
        names.insert(1, &ratio);
        for name in &names {
            write!(text, " {name} |").unwrap();
        }
        writeln!(text, " rounds |\n|---{}|", "|---".repeat(names.len() + 1)).unwrap();
        for row in &mut self.rows {
            write!(text, "| {} |", row.name).unwrap();
            for (index, column) in self.columns.iter().enumerate() {
                match row.summary(index) {
                    Some(summary) => write!(text, " {} |", summary.cell(column.decimals)).unwrap(),
                    None => write!(text, " – |").unwrap(),
                }
                if index == 0 {
                    match row.summary(0).zip(base) {
                        Some((summary, base)) => write!(text, " {:.2} |", summary.median / base),
                        None => write!(text, " – |"),
                    }
                    .unwrap();
                }
            }
            row.notes
                .insert(0, format!("{} of {rounds}", row.rounds.len()));
            writeln!(text, " {} |", row.notes.join("; ")).unwrap();
        }
        text
    }
}

impl<const N: usize> Row<'_, N> {
    /// Repeats a round that is void or disturbed, up to [`TRIES_MAX`]. If the last attempt is disturbed, it counts.
    fn measure_round(&mut self, settings: &Settings) {
        for attempt in 1..=TRIES_MAX {
            let is_last = attempt == TRIES_MAX;
            match (self.measure)() {
                Ok(figures) if figures.others <= settings.others_max => {
                    return self.rounds.push(figures.values);
                }
                Ok(figures) => {
                    eprintln!(
                        "  disturbed: others took {:.2} of a processor",
                        figures.others
                    );
                    if is_last {
                        self.rounds.push(figures.values);
                        self.notes
                            .push(format!("one disturbed ({:.2})", figures.others));
                    }
                }
                Err(why) => {
                    eprintln!("  void: {why}");
                    self.notes.push(format!("one void: {why}"));
                }
            }
        }
    }

    fn summary(&self, column: usize) -> Option<Summary> {
        let mut values: Vec<f64> = self.rounds.iter().map(|round| round[column]).collect();
        if values.is_empty() {
            return None;
        }
        let median = median(&mut values);
        Some(Summary {
            median,
            least: values[0],
            most: values[values.len() - 1],
        })
    }
}

struct Summary {
    median: f64,
    least: f64,
    most: f64,
}

impl Summary {
    fn cell(&self, decimals: usize) -> String {
        let Self {
            median,
            least,
            most,
        } = self;
        format!("{median:.decimals$} ({least:.decimals$}–{most:.decimals$})")
    }
}

/// The comparison is only fair if all contenders' messages have the same length. Messages with several entries are
/// longer, and are not checked.
pub(crate) fn check_payload(measured: &Measured, expected: usize) -> Result<(), Void> {
    let spread = (measured.payload_bytes / expected as f64 - 1.0).abs();
    match spread <= PAYLOAD_SPREAD_MAX || measured.messages < measured.delivered {
        true => Ok(()),
        false => Err(Void::Size(measured.payload_bytes, expected)),
    }
}
