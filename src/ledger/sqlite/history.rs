use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use super::{
    failure::LedgerFailure,
    files::{Marker, SealTime},
};
use crate::{domain::Epoch, ledger::LedgerError};

/// The ledger's history: the one row of its table.
pub(super) struct HistoryRow {
    pub(super) epoch: Epoch,
    pub(super) commits: i64,
    /// The instant of the latest commit.
    pub(super) recorded_until: Timestamp,
}

/// Reads the history, or begins one in a new file. If the marker does not know the file, it gets a new epoch:
/// clients may hold positions that this file never gave.
///
/// # Errors
/// When the file or the marker cannot be read or written.
pub(super) fn open_history(
    connection: &Connection,
    marker: &mut Marker,
) -> Result<HistoryRow, LedgerError> {
    let stored = connection
        .query_row(
            "SELECT epoch, seal, commits, recorded_until, indexed FROM history",
            (),
            |row| row.try_into(),
        )
        .optional()?;
    let new = (0_i64, 0, 0, i64::MIN, 0_i64);
    let (epoch, seal, commits, recorded_until, indexed) = stored.unwrap_or(new);
    let mut epoch = Epoch(epoch.cast_unsigned());
    if !marker.knows(epoch, commits, SealTime(seal)) {
        epoch = Epoch(getrandom::u64().map_err(|error| LedgerError::new(error.to_string()))?);
        let SealTime(seal) = marker.seal(epoch)?;
        let transaction = connection.unchecked_transaction()?;
        transaction.execute("DELETE FROM history", ())?;
        transaction.execute(
            "INSERT INTO history (epoch, seal, commits, recorded_until, indexed)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            (
                epoch.0.cast_signed(),
                seal,
                commits,
                recorded_until,
                indexed,
            ),
        )?;
        transaction.commit()?;
    }
    let recorded_until = Timestamp::from_millisecond(recorded_until).unwrap_or(Timestamp::MIN);
    Ok(HistoryRow {
        epoch,
        commits,
        recorded_until,
    })
}

/// Counts a commit, and checks that no other process has made one since ours.
///
/// # Errors
/// [`LedgerFailure::Foreign`] if the count is not `commits`.
pub(super) fn count_commit(
    connection: &Connection,
    commits: i64,
    at: Timestamp,
) -> Result<(), LedgerFailure> {
    let counted = connection
        .prepare_cached(
            "UPDATE history SET commits = commits + 1, recorded_until = ?1 WHERE commits = ?2",
        )?
        .execute((at.as_millisecond(), commits))?;
    match counted {
        1 => Ok(()),
        _ => Err(LedgerFailure::Foreign),
    }
}
