use std::time::Duration;

use tallycast::Hub;
use tokio::task::JoinHandle;

use super::accept_loop::AcceptLoop;
use crate::cli::{command_error::CommandError, signals::Signals};

/// A server that accepts connections, until [`run`](Self::run) returns.
pub(super) struct RunningServer {
    pub(super) hub: Hub,
    pub(super) public: AcceptLoop,
    pub(super) admin: AcceptLoop,
    pub(super) flash_policy: Option<JoinHandle<()>>,
    pub(super) drain: Duration,
}

impl RunningServer {
    /// Serves until a signal arrives or the ledger fails, then drains. Another signal exits at once.
    pub(super) async fn run(self, signals: &mut Signals) -> Result<(), CommandError> {
        let ended = tokio::select! {
            signal = signals.next() => {
                tracing::info!(signal = signal.name(), "shutting down");
                Ok(())
            }
            () = self.hub.failed() => {
                Err(CommandError::Failed("the ledger has failed, and it is unknown whether the last \
                    commit is durable: restart the server; producers will retry".to_owned()))
            }
        };
        tokio::select! {
            signal = signals.next() => signal.exit(),
            drained = self.drain() => drained.and(ended),
        }
    }

    async fn drain(self) -> Result<(), CommandError> {
        if let Some(flash_policy) = &self.flash_policy {
            flash_policy.abort();
        }
        let ((), stopped) = tokio::join!(self.hub.drain(self.drain), self.public.stop());
        // No producer is left. Closing the ledger moves its log into the database before the next start.
        self.hub.feed().close().await;
        // Last, so that probes can still see why the server is not ready.
        stopped.and(self.admin.stop().await)
    }
}
