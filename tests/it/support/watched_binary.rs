//! The real binary, and everything that it logs.

use std::fmt::Write;

use tokio::{process::Child, task::JoinHandle};

use crate::support::binary::ServedBinary;

/// A server, and everything that it logs.
pub(crate) struct WatchedBinary {
    process: Child,
    pub(crate) address: String,
    pub(crate) admin: String,
    log: JoinHandle<String>,
}

impl WatchedBinary {
    /// Collects the log from now on: an unread pipe would block the server.
    pub(crate) fn new(served: ServedBinary) -> Self {
        let address = served.address().to_owned();
        let ServedBinary {
            process,
            admin,
            log: mut lines,
            ..
        } = served;
        let log = tokio::spawn(async move {
            let mut log = String::new();
            while let Ok(Some(line)) = lines.next_line().await {
                writeln!(log, "{line}").unwrap();
            }
            log
        });
        Self {
            process,
            address,
            admin,
            log,
        }
    }

    /// Stops it and returns its log.
    pub(crate) async fn log(mut self) -> String {
        self.process.kill().await.unwrap();
        self.log.await.unwrap()
    }
}
