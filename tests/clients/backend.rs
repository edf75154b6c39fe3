//! An app's own backend, which issues its customers' tokens.

use std::{collections::VecDeque, sync::Arc};

use axum::{Router, extract::State, routing::any};
use tokio::{
    net::TcpListener,
    process::Command,
    sync::{Mutex, watch},
    time::timeout,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{server::Server, stock::SOON};

/// What it issues, made on each request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Handout {
    /// A token for alice with this lifetime: `3s`, `1h`.
    Lasting(&'static str),
    /// A token of another subject.
    Bobs,
    Nonsense,
}

/// Issues tokens at `/token`.
pub(crate) struct Backend {
    pub(crate) url: String,
    left: watch::Receiver<usize>,
    _end: DropGuard,
}

impl Backend {
    /// A backend with long-lived tokens.
    pub(crate) async fn of(server: &Server) -> Self {
        Self::handing_out(server, &[Handout::Lasting("1h")]).await
    }

    /// A backend that issues these in turn, and then repeats the last one.
    pub(crate) async fn handing_out(server: &Server, tokens: &[Handout]) -> Self {
        let printers: VecDeque<_> = tokens.iter().map(|&token| printer(server, token)).collect();
        let (left, watched) = watch::channel(printers.len());
        let printers = Arc::new(Mutex::new(printers));
        let router = Router::new()
            .route("/token", any(next))
            .with_state((printers, left));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let end = CancellationToken::new();
        let serving = async move { axum::serve(listener, router).await.unwrap() };
        tokio::spawn(end.clone().run_until_cancelled_owned(serving));
        Self {
            url,
            left: watched,
            _end: end.drop_guard(),
        }
    }

    /// Waits until it has issued the last one.
    pub(crate) async fn is_at_the_last(&mut self) {
        let last = self.left.wait_for(|&left| left == 0);
        let _ = timeout(SOON, last)
            .await
            .expect("nobody asks for a token")
            .unwrap();
    }
}

fn printer(server: &Server, token: Handout) -> Command {
    match token {
        Handout::Lasting(ttl) => server.token_command(&["--sub", "alice", "--ttl", ttl]),
        Handout::Bobs => server.token_command(&["--sub", "bob"]),
        Handout::Nonsense => {
            let mut command = Command::new("echo");
            command.arg("nonsense");
            command
        }
    }
}

type Printers = (Arc<Mutex<VecDeque<Command>>>, watch::Sender<usize>);

async fn next(State((printers, left)): State<Printers>) -> String {
    let mut printers = printers.lock().await;
    let printed = printers[0].output().await.unwrap();
    if printers.len() > 1 {
        printers.pop_front();
    }
    left.send_modify(|left| *left = left.saturating_sub(1));
    String::from_utf8(printed.stdout).unwrap().trim().to_owned()
}
