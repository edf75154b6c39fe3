use clap::ValueEnum;
use csv::{Terminator, WriterBuilder};
use serde_json::value::RawValue;

use super::{
    formula::without_formula,
    row::{COLUMNS, row},
};
use crate::cli::output::TerminalText;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ExportFormat {
    /// One entry's JSON per line
    Ndjson,
    /// A table with a header line (RFC 4180)
    Csv,
}

/// How entries are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct EntryText {
    pub(super) format: ExportFormat,
    /// Cells that a spreadsheet would take for formulas stay as they are.
    pub(super) is_raw: bool,
    /// A terminal shows them: what it would obey is escaped.
    pub(super) is_for_terminal: bool,
}

impl EntryText {
    /// What precedes the first entry.
    pub(super) fn header(self) -> Vec<u8> {
        let mut text = Vec::new();
        if self.format == ExportFormat::Csv {
            append_rows([COLUMNS], &mut text);
        }
        text
    }

    pub(super) fn append(
        self,
        entries: &[Box<RawValue>],
        text: &mut Vec<u8>,
    ) -> Result<(), serde_json::Error> {
        match self.format {
            ExportFormat::Ndjson => {
                for entry in entries {
                    let line = self.shown(entry.get().to_owned());
                    text.extend_from_slice(line.as_bytes());
                    text.push(b'\n');
                }
            }
            ExportFormat::Csv => {
                let mut rows = Vec::with_capacity(entries.len());
                for entry in entries {
                    rows.push(row(entry)?.map(|cell| self.shown(self.cell(cell))));
                }
                append_rows(rows, text);
            }
        }
        Ok(())
    }

    fn cell(self, cell: String) -> String {
        match self.is_raw {
            true => cell,
            false => without_formula(cell),
        }
    }

    fn shown(self, text: String) -> String {
        match self.is_for_terminal {
            true => TerminalText(text).to_string(),
            false => text,
        }
    }
}

fn append_rows<R: IntoIterator<Item: AsRef<[u8]>>>(
    rows: impl IntoIterator<Item = R>,
    text: &mut Vec<u8>,
) {
    let mut writer = WriterBuilder::new()
        .terminator(Terminator::CRLF)
        .from_writer(text);
    for row in rows {
        let written = writer.write_record(row);
        written.expect("rows have one length, and writing to memory does not fail");
    }
    writer.flush().expect("writing to memory does not fail");
}
