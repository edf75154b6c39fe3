use lru::LruCache;

use crate::domain::{Account, AccountState};

/// The states of the accounts that changed most recently, so that busy accounts need not be read.
pub(super) struct StateCache {
    states: LruCache<Account, CachedState>,
    bytes: usize,
}

struct CachedState {
    state: AccountState,
    bytes: usize,
}

impl StateCache {
    /// Roughly the most bytes of all cached states.
    const BYTES_MAX: usize = 64 * 1024 * 1024;

    pub(super) fn new() -> Self {
        Self {
            states: LruCache::unbounded(),
            bytes: 0,
        }
    }

    /// Takes an account's state out, if it is cached. A failed commit then never leaves a wrong one here.
    pub(super) fn take(&mut self, account: &Account) -> Option<AccountState> {
        let cached = self.states.pop(account)?;
        self.bytes -= cached.bytes;
        Some(cached.state)
    }

    /// Stores the states of a committed batch, and drops the oldest ones when there are too many bytes.
    pub(super) fn put(&mut self, states: impl IntoIterator<Item = (Account, AccountState)>) {
        for (account, state) in states {
            let bytes = state.memory_bytes();
            self.bytes += bytes;
            self.states.put(account, CachedState { state, bytes });
        }
        while self.bytes > Self::BYTES_MAX {
            let Some((_, oldest)) = self.states.pop_lru() else {
                break;
            };
            self.bytes -= oldest.bytes;
        }
    }
}
