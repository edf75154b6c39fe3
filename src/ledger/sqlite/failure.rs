use rusqlite::ErrorCode;

use crate::ledger::{LedgerError, Unavailable};

/// Why a transaction failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum LedgerFailure {
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("{0}")]
    Unreadable(#[from] LedgerError),
    #[error("the commit names an account without a state")]
    Bug,
    #[error("the ledger has too many accounts, or this account too many entries, for its file")]
    Full,
    #[error("another process has written into the ledger: restart")]
    Foreign,
}

impl LedgerFailure {
    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Sqlite(error) => error.sqlite_error_code(),
            Self::Unreadable(_) | Self::Bug | Self::Full | Self::Foreign => None,
        }
    }

    /// Whether the file is not as this server left it: an operator must look at it before anything more is
    /// recorded.
    pub(super) fn is_fatal(&self) -> bool {
        let code = self.code();
        matches!(self, Self::Foreign)
            || matches!(
                code,
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
            )
    }

    /// Whether a failed COMMIT never reached the log for certain. All other errors leave that open.
    pub(super) fn is_certainly_undone(&self) -> bool {
        matches!(
            self.code(),
            Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
        )
    }

    pub(super) fn unavailable(&self) -> Unavailable {
        match self.code() {
            Some(ErrorCode::DiskFull) => Unavailable::DiskFull,
            _ => Unavailable::Busy(self.to_string()),
        }
    }
}

impl From<rusqlite::Error> for LedgerError {
    fn from(error: rusqlite::Error) -> Self {
        Self::new(error.to_string())
    }
}
