use std::fmt;

use jiff::Timestamp;

/// A revocation as a [`Ledger`](crate::ledger::Ledger) stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredRevocation {
    /// What it revokes. A ledger stores at most one revocation of each key.
    pub key: RevocationKey,
    /// Of a subject's tokens only those are revoked that were issued before this instant, in whole milliseconds.
    /// `None` if it revokes a single token.
    pub issued_before: Option<Timestamp>,
    /// When it can be forgotten, in whole milliseconds, because the tokens have expired by then.
    pub expires_at: Timestamp,
}

/// A hash of a token's id, or of a subject. Neither is stored itself, since it may be the name of a person who is to be
/// erased one day.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RevocationKey([u8; 32]);

impl RevocationKey {
    /// The hash, to be stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for RevocationKey {
    /// A stored hash.
    fn from(hash: [u8; 32]) -> Self {
        Self(hash)
    }
}

impl fmt::Debug for RevocationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationKey").finish_non_exhaustive()
    }
}
