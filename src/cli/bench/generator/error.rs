use std::{io, net::SocketAddr, time::Duration};

/// Why a measurement is void.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    #[error("a message to {account} is lost or out of order: expected entry {expected}, got {got}")]
    Lost {
        account: String,
        expected: u64,
        got: u64,
    },
    #[error("a message to {account} arrived twice or late: expected entry {expected}, got {got}")]
    Repeated {
        account: String,
        expected: u64,
        got: u64,
    },
    #[error("a watcher of {watched} received a message to {account}")]
    Stray { watched: String, account: String },
    #[error("an unexpected message arrived: is another client recording in these accounts?")]
    Surplus,
    #[error("unreadable message: {0}")]
    Garbled(String),
    #[error("cannot connect to {address}: {cause}")]
    Unreachable {
        address: SocketAddr,
        cause: io::Error,
    },
    #[error("the server closed a connection")]
    Closed,
    #[error("the server refused: {0}")]
    Refused(String),
    #[error("nothing arrived for {} s; {missing} were still due", waited.as_secs())]
    Silent { waited: Duration, missing: u64 },
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl BenchError {
    /// With the start of the bytes that could not be read.
    pub(super) fn garbled(bytes: &[u8]) -> Self {
        Self::Garbled(shortened(bytes))
    }

    /// With the start of the server's answer.
    pub(super) fn refused(bytes: &[u8]) -> Self {
        Self::Refused(shortened(bytes))
    }
}

fn shortened(bytes: &[u8]) -> String {
    const CHARS_MAX: usize = 200;
    let text = String::from_utf8_lossy(bytes);
    let text = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    text.take(CHARS_MAX).collect()
}
