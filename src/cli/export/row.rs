use std::collections::BTreeMap;

use serde_json::{Error, value::RawValue};

pub(super) const COLUMNS: [&str; 21] = [
    "offset",
    "id",
    "source",
    "kind",
    "amount",
    "unit",
    "meter",
    "category",
    "description",
    "time",
    "recorded_at",
    "total",
    "reverses_source",
    "reverses_id",
    "budget",
    "window",
    "window_start",
    "threshold",
    "spent",
    "limit",
    "attributes",
];

/// An entry's cells, one per column. A field that the entry does not have is empty.
pub(super) type ExportRow = [String; COLUMNS.len()];

/// The fields of a JSON object in their original spelling: no number becomes a float.
type Fields<'a> = BTreeMap<String, &'a RawValue>;

pub(super) fn row(entry: &RawValue) -> Result<ExportRow, Error> {
    let fields: Fields<'_> = serde_json::from_str(entry.get())?;
    let (reverses_source, reverses_id) = reversed(&fields)?;
    let mut row = ExportRow::default();
    for (cell, column) in row.iter_mut().zip(COLUMNS) {
        *cell = match column {
            "reverses_source" => reverses_source.clone(),
            "reverses_id" => reverses_id.clone(),
            _ => text(&fields, column)?,
        };
    }
    Ok(row)
}

/// The source and id of the entry that a reversal reverses. A bare id has the reversal's own source.
fn reversed(fields: &Fields<'_>) -> Result<(String, String), Error> {
    match fields.get("reverses") {
        Some(key) if !is_text(key) => {
            let key: Fields<'_> = serde_json::from_str(key.get())?;
            Ok((text(&key, "source")?, text(&key, "id")?))
        }
        Some(_) => Ok((text(fields, "source")?, text(fields, "reverses")?)),
        None => Ok(Default::default()),
    }
}

/// A string without its quotes; any other value as it is written.
fn text(fields: &Fields<'_>, name: &str) -> Result<String, Error> {
    match fields.get(name) {
        Some(field) if is_text(field) => serde_json::from_str(field.get()),
        Some(field) => Ok(field.get().to_owned()),
        None => Ok(String::new()),
    }
}

fn is_text(field: &RawValue) -> bool {
    field.get().starts_with('"')
}
