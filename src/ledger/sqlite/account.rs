use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use super::{entries::unreadable, place, recent::Unindexed};
use crate::{
    domain::{Account, AccountState, Happened},
    ledger::{HappenedEntry, LedgerError, NewEntry},
};

/// An account as it is read from the file.
pub(super) struct StoredAccount {
    pub(super) number: i64,
    /// The offset of the last entry in the stored state.
    pub(super) written: u64,
    /// The state with all entries.
    pub(super) state: AccountState,
    /// The entries that are not in the indexes, oldest first.
    pub(super) unindexed: Vec<Arc<NewEntry>>,
}

/// Reads an account: its stored state, and the entries since then added to it. `unindexed` must be older than
/// the transaction, as [`Recent`](super::recent::Recent) says.
pub(super) fn find_account(
    connection: &Connection,
    account: &Account,
    unindexed: Unindexed,
) -> Result<Option<StoredAccount>, LedgerError> {
    let found = connection
        .prepare_cached("SELECT number, state FROM account WHERE name = ?1")?
        .query_row([account.as_str()], |row| {
            Ok((row.get(0)?, row.get::<_, String>(1)?))
        })
        .optional()?;
    let Some((number, state)) = found else {
        return Ok(None);
    };
    let mut state: AccountState = serde_json::from_str(&state)
        .map_err(|error| LedgerError::new(format!("an account's state is unreadable: {error}")))?;
    let written = state.offset;
    replay(connection, number, &mut state)?;
    // Every entry of the stored state is indexed, so the state now has exactly the indexed entries.
    let unindexed = unindexed.after(state.generation, state.offset);
    for new in &unindexed {
        state.replay(&HappenedEntry::from(&**new).read());
    }
    Ok(Some(StoredAccount {
        number,
        written,
        state,
        unindexed,
    }))
}

/// Adds the indexed entries that a stored state lacks: fewer than
/// [`ENTRIES_BEHIND_MAX`](super::recent::ENTRIES_BEHIND_MAX).
fn replay(
    connection: &Connection,
    number: i64,
    state: &mut AccountState,
) -> Result<(), LedgerError> {
    let mut statement = connection.prepare_cached(
        "SELECT json, count, happened FROM entry_place AS at CROSS JOIN entry ON number = at.entry
         WHERE at.place BETWEEN ?1 AND ?2 ORDER BY at.place",
    )?;
    let (first, last) = place::after(number, state.offset).into_inner();
    let mut rows = statement.query((first, last))?;
    while let Some(row) = rows.next()? {
        let json = row.get_ref(0)?.as_str().map_err(unreadable)?;
        state.replay(&Happened {
            entry: serde_json::from_str(json).map_err(unreadable)?,
            count: row.get(1)?,
            happened: Timestamp::from_millisecond(row.get(2)?).map_err(unreadable)?,
        });
    }
    Ok(())
}
