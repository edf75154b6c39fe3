use clap::ValueEnum;
use csv::{Terminator, WriterBuilder};
use serde_json::value::RawValue;

use super::row::{COLUMNS, Row, row};

/// How entries are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// The entry's JSON, one a line
    Ndjson,
    /// A table with a line of names (RFC 4180)
    Csv,
}

impl Format {
    /// What stands before the first entry.
    pub(super) fn head(self) -> Vec<u8> {
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
                let rows: Result<Vec<Row>, _> = entries.iter().map(|entry| row(entry)).collect();
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
        written.expect("rows are of one length, and memory takes them");
    }
    writer.flush().expect("memory takes them");
}
