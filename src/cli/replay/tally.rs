use serde::Deserialize;

use crate::cli::{output::shortened, table::RowLocation};

/// The server's result for one event.
#[derive(Debug, Deserialize)]
pub(super) struct ItemResult {
    pub(super) status: ItemStatus,
    #[serde(default)]
    pub(super) code: String,
    #[serde(default)]
    pub(super) message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ItemStatus {
    Recorded,
    Duplicate,
    Conflict,
    Rejected,
}

/// The most characters of a reason: the server's own are shorter.
const REASON_CHARS_MAX: usize = 500;

/// The most reasons that are listed. The first ones nearly always explain the rest.
const REASONS_MAX: usize = 5;

/// Counts the results of the rows, and collects the first reasons of refusals.
#[derive(Debug, Default)]
pub(super) struct Tally {
    recorded: u64,
    duplicate: u64,
    conflict: u64,
    rejected: u64,
    reasons: Vec<String>,
}

impl Tally {
    pub(super) fn count(&mut self, location: RowLocation, result: ItemResult) {
        let count = match result.status {
            ItemStatus::Recorded => &mut self.recorded,
            ItemStatus::Duplicate => &mut self.duplicate,
            ItemStatus::Conflict => &mut self.conflict,
            ItemStatus::Rejected => &mut self.rejected,
        };
        *count += 1;
        let is_refused = matches!(result.status, ItemStatus::Conflict | ItemStatus::Rejected);
        if is_refused && self.reasons.len() < REASONS_MAX {
            let RowLocation { row, line } = location;
            let ItemResult { code, message, .. } = result;
            let reason = shortened(&format!("{code}: {message}"), REASON_CHARS_MAX);
            self.reasons
                .push(format!("row {row} (line {line}): {reason}"));
        }
    }

    /// The number of rows that the server has answered.
    pub(super) fn answered(&self) -> u64 {
        self.recorded + self.duplicate + self.refused()
    }

    /// The number of rows that are not recorded as they are in the file.
    pub(super) fn refused(&self) -> u64 {
        self.conflict + self.rejected
    }

    /// The first reasons of refusals, and the counts in the last line.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = self.reasons.clone();
        let listed = u64::try_from(self.reasons.len()).unwrap_or(u64::MAX);
        if self.refused() > listed {
            lines.push(format!("… and {} more", self.refused() - listed));
        }
        let Self {
            recorded,
            duplicate,
            conflict,
            rejected,
            ..
        } = self;
        lines.push(format!(
            "recorded {recorded}, duplicate {duplicate}, conflict {conflict}, rejected {rejected}"
        ));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reasons_are_listed_and_the_others_counted() {
        let mut tally = Tally::default();
        let json = r#"{ "status": "rejected", "code": "invalid_unit", "message": "use USD" }"#;
        for row in 1..=7 {
            let location = RowLocation { row, line: row + 1 };
            tally.count(location, serde_json::from_str(json).unwrap());
        }
        let recorded = r#"{ "status": "recorded", "offset": 1, "position": "p", "total": "1" }"#;
        tally.count(
            RowLocation { row: 8, line: 9 },
            serde_json::from_str(recorded).unwrap(),
        );
        let lines = tally.lines();
        assert_eq!(lines[0], "row 1 (line 2): invalid_unit: use USD");
        assert_eq!(
            lines[5..],
            [
                "… and 2 more",
                "recorded 1, duplicate 0, conflict 0, rejected 7"
            ]
        );
        assert_eq!((tally.answered(), tally.refused()), (8, 7));
    }
}
