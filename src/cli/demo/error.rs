use std::io;

use tallycast::{
    AppendError, BuildError, Invalid, access::KeyError, feed::ProfileError, ledger::LedgerError,
};

/// Why the demo failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum DemoError {
    #[error("cannot listen on {address}: {cause}; pass --listen 127.0.0.1:0 for a free port")]
    Listen { address: String, cause: io::Error },
    #[error("cannot listen for signals: {0}")]
    Signals(io::Error),
    #[error(
        "cannot create a temporary folder for the ledger: {0}; set TMPDIR to a writable folder"
    )]
    Folder(io::Error),
    #[error("cannot generate a secret: {0}")]
    Random(getrandom::Error),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Origins(#[from] Invalid),
    #[error("cannot record a purchase: {0}")]
    Record(#[from] AppendError),
    #[error("cannot set a budget: {0}")]
    Profile(#[from] ProfileError),
}
