use std::{fmt, time::Duration};

/// The storage could not be opened or read.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct LedgerError {
    message: String,
}

impl LedgerError {
    /// An error with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

/// Why a commit failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// It was rolled back: nothing was recorded. It may succeed later.
    #[error("{0}")]
    RolledBack(Unavailable),
    /// It may or may not have been recorded. Only opening the ledger again tells.
    #[error("the outcome of a commit is unknown: {0}")]
    Unknown(String),
}

/// Why the ledger cannot record or read now. Nothing that was acknowledged is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unavailable {
    /// The disk is full. Recording works again as soon as there is space.
    DiskFull,
    /// Another process has locked the database, or it cannot be read. Try again.
    Busy(String),
    /// A commit's outcome is unknown. Restart the server, then send the same events again.
    Poisoned,
    /// The caller has too many long reads under way. Nothing was changed.
    TooManyRequests {
        /// When to try again.
        retry_after: Duration,
    },
    /// The hub is shutting down.
    Closed,
    /// A ledger of your own that does not store revocations: see [`LedgerWriter::revoke`](super::LedgerWriter::revoke).
    Unsupported,
}

impl Unavailable {
    /// The stable code, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::DiskFull => "disk_full",
            Self::Busy(_) => "busy",
            Self::Poisoned => "ledger_failed",
            Self::TooManyRequests { .. } => "too_many_requests",
            Self::Closed => "shutting_down",
            Self::Unsupported => "not_supported",
        }
    }

    /// The code of a request on an open connection that was not answered. All that is not the client's own doing is
    /// one code there.
    pub(crate) fn request_code(&self) -> &'static str {
        match self {
            Self::TooManyRequests { .. } => self.code(),
            _ => "unavailable",
        }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DiskFull => "the ledger's disk is full: nothing was recorded; send again later",
            Self::Busy(_) => "the ledger cannot be used right now: send the same request again",
            Self::Poisoned => {
                "a commit's outcome is unknown: send the same events again after a restart"
            }
            Self::TooManyRequests { .. } => {
                "too many long requests at once: take their answers, wait, then send this one again"
            }
            Self::Closed => "the server is shutting down: nothing was recorded; send again",
            Self::Unsupported => {
                "this ledger stores no revocations: implement LedgerWriter::revoke and LedgerReader::revocations"
            }
        })
    }
}

impl std::error::Error for Unavailable {}

impl From<LedgerError> for Unavailable {
    fn from(error: LedgerError) -> Self {
        Self::Busy(error.message)
    }
}
