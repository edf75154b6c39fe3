//! Why the feed cannot do what it was asked for.

use crate::{domain::Invalid, ledger::Unavailable};

/// An event was not recorded, or its outcome is unknown.
///
/// An axum handler can return it: the response is the problem JSON of `POST /v1/events`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// Its source and id were recorded before with other content.
    #[error("{0}")]
    Conflict(Invalid),
    /// It is invalid, or does not fit its account.
    #[error("{0}")]
    Rejected(Invalid),
    /// The ledger is unavailable: append the same event again later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl AppendError {
    /// The stable error code, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Conflict(invalid) | Self::Rejected(invalid) => invalid.code(),
            Self::Unavailable(unavailable) => unavailable.code(),
        }
    }
}

/// A profile was not changed, or the outcome is unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// The change is invalid, or the profile has another revision than expected.
    #[error("{0}")]
    Rejected(Invalid),
    /// The ledger is unavailable: send the same change again later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl ProfileError {
    /// The stable code, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Rejected(invalid) => invalid.code(),
            Self::Unavailable(unavailable) => unavailable.code(),
        }
    }
}

/// Tokens were not revoked, or the outcome is unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RevokeError {
    /// The revocation is invalid (`invalid_revocation`), or there is no room for it (`too_many_revocations`).
    #[error("{0}")]
    Rejected(#[from] Invalid),
    /// The ledger is unavailable: revoke the same tokens again later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl RevokeError {
    /// The stable code, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Rejected(invalid) => invalid.code(),
            Self::Unavailable(unavailable) => unavailable.code(),
        }
    }
}

/// Why a subscription has no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Interrupted {
    /// The account was erased, and its data must no longer be shown. Close the connection, or ask for the
    /// next message, which is a snapshot without entries.
    #[error("the account was erased")]
    Erased,
    /// The ledger cannot be read: ask again later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Past totals cannot be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PastTotalsError {
    /// They do not fit: a month is too large for one answer, or a sum is.
    #[error("{0}")]
    Rejected(Invalid),
    /// The ledger cannot be read, or the caller reads too much at once: ask again later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl PastTotalsError {
    /// The stable code, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Rejected(invalid) => invalid.code(),
            Self::Unavailable(unavailable) => unavailable.code(),
        }
    }
}
