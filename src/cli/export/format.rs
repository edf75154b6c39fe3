use clap::ValueEnum;
use csv::{Terminator, WriterBuilder};
use serde_json::value::RawValue;

use super::row::{COLUMNS, ExportRow, row};

/// The format of exported entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ExportFormat {
    /// One entry's JSON per line
    Ndjson,
    /// A table with a header line (RFC 4180)
    Csv,
}

impl ExportFormat {
    /// What precedes the first entry.
    pub(super) fn header(self) -> Vec<u8> {
        let mut text = Vec::new();
        if self == Self::Csv {
            append_rows([COLUMNS], &mut text);
        }
        text
    }

    pub(super) fn append(
        self,
        entries: &[Box<RawValue>],
        text: &mut Vec<u8>,
    ) -> Result<(), serde_json::Error> {
        match self {
            Self::Ndjson => {
                for entry in entries {
                    text.extend_from_slice(entry.get().as_bytes());
                    text.push(b'\n');
                }
            }
            Self::Csv => {
                let rows: Result<Vec<ExportRow>, _> =
                    entries.iter().map(|entry| row(entry)).collect();
                append_rows(rows?, text);
            }
        }
        Ok(())
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
