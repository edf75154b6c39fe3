use std::{io, net::SocketAddr, time::Duration};

/// Why a measurement is void.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("a message to {account} is lost or out of order: {expected} was due, {got} came")]
    Lost {
        account: String,
        expected: u64,
        got: u64,
    },
    #[error("a message to {account} came twice or late: {expected} was due, {got} came")]
    Repeated {
        account: String,
        expected: u64,
        got: u64,
    },
    #[error("a watcher of {watched} got a message to {account}")]
    Stray { watched: String, account: String },
    #[error("a message came that was not asked for: does somebody else record in these accounts?")]
    Surplus,
    #[error("not a message that the generator knows: {0}")]
    Garbled(String),
    #[error("no connection to {address}: {cause}")]
    Unreachable {
        address: SocketAddr,
        cause: io::Error,
    },
    #[error("the server closed a connection")]
    Closed,
    #[error("the server refused: {0}")]
    Refused(String),
    #[error("nothing came for {} s, and {missing} were still due", waited.as_secs())]
    Silent { waited: Duration, missing: u64 },
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Fault {
    /// What came, as far as a line has room for it.
    pub(super) fn garbled(bytes: &[u8]) -> Self {
        Self::Garbled(shown(bytes))
    }

    /// A refusal, as far as a line has room for it.
    pub(super) fn refused(bytes: &[u8]) -> Self {
        Self::Refused(shown(bytes))
    }
}

fn shown(bytes: &[u8]) -> String {
    const CHARS_SHOWN: usize = 200;
    let text = String::from_utf8_lossy(bytes);
    let text = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    text.take(CHARS_SHOWN).collect()
}
