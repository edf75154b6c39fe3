use std::num::NonZeroUsize;

use lru::LruCache;
use rusqlite::{Connection, OptionalExtension};

use super::{failure::LedgerFailure, place::sql_integer, recent::ENTRIES_BEHIND_MAX};
use crate::{domain::Account, ledger::ChangedState};

/// The number of cached account rows: about 11 MB.
const ROWS_CACHED: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");

/// The table of accounts, as the writer sees it: where each account is, cached.
pub(super) struct AccountRows {
    cache: LruCache<Account, AccountRow>,
}

/// Where an account is, and how old its stored state is.
#[derive(Debug, Clone, Copy)]
pub(super) struct AccountRow {
    pub(super) number: i64,
    /// The offset of the last entry in the stored state.
    pub(super) written: u64,
}

impl AccountRow {
    /// Whether the stored state and the indexes may stay as they are when the account's last entry is at
    /// `offset`.
    pub(super) fn is_near(self, offset: u64) -> bool {
        offset - self.written < ENTRIES_BEHIND_MAX
    }
}

impl AccountRows {
    pub(super) fn new() -> Self {
        Self {
            cache: LruCache::new(ROWS_CACHED),
        }
    }

    pub(super) fn find(
        &mut self,
        connection: &Connection,
        account: &Account,
    ) -> rusqlite::Result<Option<AccountRow>> {
        if let Some(row) = self.cache.get(account) {
            return Ok(Some(*row));
        }
        let row = connection
            .prepare_cached("SELECT number, written FROM account WHERE name = ?1")?
            .query_row([account.as_str()], |row| {
                Ok(AccountRow {
                    number: row.get(0)?,
                    written: row.get::<_, i64>(1)?.cast_unsigned(),
                })
            })
            .optional()?;
        if let Some(row) = row {
            self.put(account, row);
        }
        Ok(row)
    }

    /// The number of an account whose row this commit has looked up or written.
    ///
    /// # Errors
    /// [`LedgerFailure::Bug`] if it has not.
    pub(super) fn cached_number(&self, account: &Account) -> Result<i64, LedgerFailure> {
        let row = self.cache.peek(account);
        row.map(|row| row.number).ok_or(LedgerFailure::Bug)
    }

    pub(super) fn put(&mut self, account: &Account, row: AccountRow) {
        self.cache.put(account.clone(), row);
    }

    pub(super) fn remove(&mut self, account: &Account) {
        self.cache.pop(account);
    }

    /// Empties the cache. Call it after a rollback, which undoes what the transaction wrote.
    pub(super) fn clear(&mut self) {
        self.cache.clear();
    }

    /// Writes an account's state. The indexes must have all its entries, or get them in the same transaction.
    pub(super) fn write_state(
        &mut self,
        connection: &Connection,
        changed: &ChangedState<'_>,
    ) -> Result<(), LedgerFailure> {
        let ChangedState { account, state, .. } = *changed;
        let json = serde_json::to_string(state).map_err(|_| LedgerFailure::Bug)?;
        let written = sql_integer(state.offset);
        let number = match self.find(connection, account)? {
            Some(AccountRow { number, .. }) => {
                let sql = "UPDATE account SET state = ?1, written = ?2 WHERE number = ?3";
                let mut statement = connection.prepare_cached(sql)?;
                statement.execute((json, written, number))?;
                number
            }
            None => {
                let sql = "INSERT INTO account (name, state, written) VALUES (?1, ?2, ?3)";
                let mut statement = connection.prepare_cached(sql)?;
                statement.execute((account.as_str(), json, written))?;
                connection.last_insert_rowid()
            }
        };
        let written = state.offset;
        self.put(account, AccountRow { number, written });
        Ok(())
    }
}
