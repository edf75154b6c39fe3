//! A TCP proxy that can be cut, like the network between a phone and the server.

use std::sync::{Arc, Mutex};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Forwards connections to a server. After `cut` it resets them and every new one, until `restore`.
pub(crate) struct TcpProxy {
    /// Where clients connect to.
    pub(crate) url: String,
    whole: Arc<Mutex<CancellationToken>>,
    _end: DropGuard,
}

impl TcpProxy {
    pub(crate) async fn to(server: &str) -> Self {
        let server = server.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let whole = Arc::new(Mutex::new(CancellationToken::new()));
        let end = CancellationToken::new();
        let accepting = accept(listener, server, whole.clone());
        tokio::spawn(end.clone().run_until_cancelled_owned(accepting));
        Self {
            url,
            whole,
            _end: end.drop_guard(),
        }
    }

    /// Resets all connections.
    pub(crate) fn cut(&self) {
        self.whole.lock().unwrap().cancel();
    }

    /// Forwards new connections again.
    pub(crate) fn restore(&self) {
        *self.whole.lock().unwrap() = CancellationToken::new();
    }
}

async fn accept(listener: TcpListener, server: String, whole: Arc<Mutex<CancellationToken>>) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let cut = whole.lock().unwrap().clone();
        tokio::spawn(forward(client, server.clone(), cut));
    }
}

async fn forward(mut client: TcpStream, server: String, cut: CancellationToken) {
    if cut.is_cancelled() {
        return reset(&client);
    }
    let Ok(mut server) = TcpStream::connect(server).await else {
        return reset(&client);
    };
    let ended = cut
        .run_until_cancelled(copy_bidirectional(&mut client, &mut server))
        .await;
    if ended.is_none() {
        reset(&client);
        reset(&server);
    }
}

/// A connection dropped after this ends with RST.
fn reset(stream: &TcpStream) {
    stream.set_zero_linger().unwrap();
}
