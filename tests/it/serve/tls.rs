use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use futures_util::{SinkExt, StreamExt};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tallycast::{Limits, Tls};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::tungstenite::Message;

use super::{Client, GET_AND_CLOSE, SLOW_CLIENT_MAX, status};

/// A certificate for `localhost` and its key, as files, and a client that trusts it.
struct Identity {
    _folder: TempDir,
    certificate: PathBuf,
    key: PathBuf,
    connector: TlsConnector,
}

impl Identity {
    fn new() -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let certificate = write(folder.path(), "certificate.pem", &cert.pem());
        let key = write(folder.path(), "key.pem", &signing_key.serialize_pem());
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            _folder: folder,
            certificate,
            key,
            connector: TlsConnector::from(Arc::new(config)),
        }
    }

    async fn serve(&self) -> TcpStream {
        self.serve_router(Router::new().route("/", get(|| async { "hello" })))
            .await
    }

    async fn serve_router(&self, router: Router) -> TcpStream {
        let tls = Tls::from_pem_files(&self.certificate, &self.key).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(
            tallycast::serve(listener, router, Limits::default())
                .tls(tls)
                .into_future(),
        );
        TcpStream::connect(address).await.unwrap()
    }
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let file = folder.join(name);
    std::fs::write(&file, text).unwrap();
    file
}

#[tokio::test]
async fn tls_client_is_served() {
    let identity = Identity::new();
    let tcp = identity.serve().await;
    let name = "localhost".try_into().unwrap();
    let mut stream = identity.connector.connect(name, tcp).await.unwrap();
    stream.write_all(GET_AND_CLOSE).await.unwrap();
    let mut answer = String::new();
    // Reading to the end without an error also shows that TLS was closed properly.
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(status(&answer), Some(200));
    assert!(answer.ends_with("hello"));
}

#[tokio::test]
async fn a_feed_is_followed_over_tls() {
    let hub = crate::watching::settings().build().await.unwrap();
    let identity = Identity::new();
    let tcp = identity.serve_router(hub.router()).await;
    let name = "localhost".try_into().unwrap();
    let tls = identity.connector.connect(name, tcp).await.unwrap();
    let url = "wss://localhost/socket.io/?EIO=4&transport=websocket";
    let (mut ws, _) = tokio_tungstenite::client_async(url, tls).await.unwrap();
    let join = format!(r#"40/feed,{{"token":"{}"}}"#, crate::watching::ALICE);
    ws.send(Message::text(join)).await.unwrap();
    let mut frames = Vec::new();
    while frames.len() < 4 {
        frames.push(ws.next().await.unwrap().unwrap().into_text().unwrap());
    }
    assert!(frames[2].starts_with(r#"42/feed,["snapshot""#));
    assert!(frames[3].starts_with(r#"42/feed,["live""#));
    tokio::join!(hub.drain(std::time::Duration::ZERO), async {
        while let Some(Ok(frame)) = ws.next().await {
            if let Message::Close(close) = frame {
                assert_eq!(u16::from(close.unwrap().code), 1012);
            }
        }
    });
    assert_eq!(hub.sessions(), 0);
}

#[tokio::test(start_paused = true)]
async fn silent_tls_client_is_closed() {
    let identity = Identity::new();
    let mut client = Client(identity.serve().await);
    let start = Instant::now();
    assert_eq!(client.rest().await, "");
    assert!(start.elapsed() <= SLOW_CLIENT_MAX);
}

#[tokio::test]
async fn plain_client_gets_no_answer_on_a_tls_port() {
    let identity = Identity::new();
    let mut tcp = identity.serve().await;
    tcp.write_all(GET_AND_CLOSE).await.unwrap();
    let mut answer = Vec::new();
    let _ = tcp.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"));
}

#[test]
fn unusable_files_are_named() {
    let (identity, other) = (Identity::new(), Identity::new());
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.pem");
    let empty = write(folder.path(), "empty.pem", "");
    let text = write(
        folder.path(),
        "text.pem",
        "-----BEGIN CERTIFICATE-----\n!\n",
    );
    for (certificate, key, culprit) in [
        (&missing, &identity.key, &missing),
        (&empty, &identity.key, &empty),
        (&text, &identity.key, &text),
        (&identity.key, &identity.key, &identity.key),
        (&identity.certificate, &missing, &missing),
        (&identity.certificate, &empty, &empty),
        (
            &identity.certificate,
            &identity.certificate,
            &identity.certificate,
        ),
        (&identity.certificate, &other.key, &other.key),
    ] {
        let error = Tls::from_pem_files(certificate, key)
            .unwrap_err()
            .to_string();
        assert!(error.starts_with(&culprit.display().to_string()), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}
