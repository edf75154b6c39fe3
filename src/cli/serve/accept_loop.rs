use std::future::IntoFuture;

use axum::Router;
use tallycast::{
    Limits,
    serve::{Tls, TrustedProxies},
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::cli::command_error::CommandError;

/// The task that accepts and serves a listener's connections.
pub(super) struct AcceptLoop {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl AcceptLoop {
    pub(super) fn start(
        listener: TcpListener,
        router: Router,
        limits: Limits,
        proxies: TrustedProxies,
        tls: Option<Tls>,
    ) -> Self {
        let stop = CancellationToken::new();
        let serve = tallycast::serve(listener, router, limits)
            .trusted_proxies(proxies)
            .with_graceful_shutdown(stop.clone().cancelled_owned());
        let serve = match tls {
            Some(tls) => serve.tls(tls),
            None => serve,
        };
        Self {
            stop,
            task: tokio::spawn(serve.into_future()),
        }
    }

    /// Stops accepting, and returns after the last request.
    pub(super) async fn stop(self) -> Result<(), CommandError> {
        self.stop.cancel();
        self.task.await.map_err(CommandError::failed)
    }
}
