use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{Router, routing::get, serve::Listener};
use futures_util::{SinkExt, StreamExt};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tallycast::{Feed, Limits, jiff::SignedDuration, serve::Tls};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, timeout},
};
use tokio_rustls::{
    TlsAcceptor, TlsConnector, client,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig, crypto::aws_lc_rs, pki_types::PrivateKeyDer,
    },
    server,
};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

use super::SLOW_CLIENT_MAX;
use crate::support::{
    SOON,
    feed_client::read_event,
    feed_hub::{ALICE, described, settings},
    host::Host,
    raw_http::{connect_narrow, status, statuses},
    raw_sse::RawSse,
    router_server::{GET, GET_AND_CLOSE, RawClient},
    scripted_listener::Script,
};

/// A certificate for `localhost` and its key, as files, and a client that trusts it.
struct Identity {
    _folder: TempDir,
    certificate: PathBuf,
    key: PathBuf,
    connector: TlsConnector,
    acceptor: TlsAcceptor,
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
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let secret = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], secret)
            .unwrap();
        Self {
            _folder: folder,
            certificate,
            key,
            connector: TlsConnector::from(Arc::new(config)),
            acceptor: TlsAcceptor::from(Arc::new(server)),
        }
    }

    async fn serve(&self) -> TcpStream {
        self.serve_router(Router::new().route("/", get(|| async { "hello" })))
            .await
    }

    async fn serve_router(&self, router: Router) -> TcpStream {
        let address = self.listen(router).await;
        TcpStream::connect(address).await.unwrap()
    }

    async fn listen(&self, router: Router) -> SocketAddr {
        let tls = Tls::from_pem_files(&self.certificate, &self.key).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(
            tallycast::serve(listener, router, Limits::default())
                .tls(tls)
                .into_future(),
        );
        address
    }
}

/// Any listener's connections, with TLS.
struct Secured<L> {
    listener: L,
    acceptor: TlsAcceptor,
}

impl<L> Listener for Secured<L>
where
    L: Listener<Io: AsyncRead + AsyncWrite + Unpin + Send>,
{
    type Io = server::TlsStream<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (plain, peer) = self.listener.accept().await;
        (self.acceptor.accept(plain).await.unwrap(), peer)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// Follows alice.
struct Follower {
    ws: WebSocketStream<client::TlsStream<TcpStream>>,
    offset: u64,
    /// The most entries that came in one update.
    longest: u64,
}

impl Follower {
    async fn live(identity: &Identity, tcp: TcpStream) -> Self {
        let name = "localhost".try_into().unwrap();
        let tls = identity.connector.connect(name, tcp).await.unwrap();
        let url = "wss://localhost/socket.io/?EIO=4&transport=websocket";
        let (mut ws, _) = tokio_tungstenite::client_async(url, tls).await.unwrap();
        let join = format!(r#"40/feed,{{"token":"{ALICE}"}}"#);
        ws.send(Message::text(join)).await.unwrap();
        let mut follower = Self {
            ws,
            offset: 0,
            longest: 0,
        };
        let first = [
            "0{",
            "40/feed,",
            r#"42/feed,["snapshot""#,
            r#"42/feed,["live""#,
        ];
        for start in first {
            let packet = follower.packet().await;
            assert!(packet.starts_with(start), "{packet}");
        }
        follower
    }

    /// The next packet that is not a ping.
    async fn packet(&mut self) -> String {
        loop {
            let frame = timeout(SOON, self.ws.next())
                .await
                .expect("a frame in time");
            let packet = frame.unwrap().unwrap().into_text().unwrap();
            if packet.as_str() != "2" {
                return packet.to_string();
            }
            self.ws.send(Message::text("3")).await.unwrap();
        }
    }

    /// Reads updates up to `last`: none is missing, and none comes twice.
    async fn read_to(&mut self, offset: u64) {
        while self.offset < offset {
            let (name, update) = read_event(&self.packet().await);
            assert_eq!(
                (name.as_str(), &update["from"]),
                ("update", &(self.offset + 1).into())
            );
            let to = update["to"].as_u64().unwrap();
            self.longest = self.longest.max(to - self.offset);
            self.offset = to;
        }
    }
}

/// Records long entries after `offset` in one commit; returns the last one's offset.
async fn record(feed: &Feed, offset: u64, count: u64) -> u64 {
    let ids = offset + 1..=offset + count;
    let events = ids.map(|id| described("alice", id, &"电".repeat(500)));
    feed.append_all(events.collect()).await.unwrap();
    offset + count
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
async fn requests_behind_each_other_are_checked_over_tls() {
    let identity = Identity::new();
    let tcp = identity.serve().await;
    let name = "localhost".try_into().unwrap();
    let mut stream = identity.connector.connect(name, tcp).await.unwrap();
    let bad = b"GET / HTTP/1.1\nHost: a\n\n";
    stream
        .write_all(&[GET, GET, bad, GET].concat())
        .await
        .unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).await.unwrap();
    assert_eq!(statuses(&answers), [200, 200, 400]);
}

#[tokio::test]
async fn a_feed_is_followed_over_tls() {
    let hub = settings().build().await.unwrap();
    let identity = Identity::new();
    let tcp = identity.serve_router(hub.router()).await;
    let Follower { mut ws, .. } = Follower::live(&identity, tcp).await;
    tokio::join!(hub.drain(std::time::Duration::ZERO), async {
        while let Some(Ok(frame)) = ws.next().await {
            if let Message::Close(close) = frame {
                assert_eq!(u16::from(close.unwrap().code), 1012);
            }
        }
    });
    assert_eq!(hub.sessions(), 0);
}

/// TLS buffers at most 64 KiB before the connection accepts it: all of a small frame, part of a large one.
#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_tls_holds_is_finished() {
    let script = Script::willing();
    let identity = Identity::new();
    let hub = settings().build().await.unwrap();
    let router = hub.router();
    let listener = Secured {
        listener: script.listener().await,
        acceptor: identity.acceptor.clone(),
    };
    let host = Host::embed_on(listener, hub, router, "");
    let feed = host.hub.feed();
    let mut followers = Vec::new();
    for _ in 0..2 {
        let tcp = TcpStream::connect(host.address).await.unwrap();
        followers.push(Follower::live(&identity, tcp).await);
    }
    let mut offset = 0;
    for (large, behind) in [(1, 0), (60, 0), (1, 3), (60, 3)] {
        // It bypassed the engine, as far as TLS shows.
        while {
            offset = record(&feed, offset, 1).await;
            for follower in &mut followers {
                follower.read_to(offset).await;
            }
            !script.is_one_dispatching()
        } {}
        script.allow(100);
        offset = record(&feed, offset, large).await;
        script.until_shut().await;
        for _ in 0..behind {
            offset = record(&feed, offset, 1).await;
        }
        script.allow(usize::MAX);
        // No later write would flush it.
        for follower in &mut followers {
            follower.read_to(offset).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_late_over_tls_gets_everything_in_order() {
    let hub = settings().build().await.unwrap();
    let identity = Identity::new();
    let tcp = connect_narrow(identity.listen(hub.router()).await).await;
    let mut late = Follower::live(&identity, tcp).await;
    let mut offset = 0;
    while offset < 2_000 {
        offset = record(&hub.feed(), offset, 1).await;
    }
    late.read_to(offset).await;
    assert!(late.longest > 1, "what waited in the ledger comes in pages");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_over_tls_is_whole_however_late_it_is_read() {
    let hub = settings().build().await.unwrap();
    let identity = Identity::new();
    let tcp = connect_narrow(identity.listen(hub.router()).await).await;
    let name = "localhost".try_into().unwrap();
    let mut late = RawSse::over(identity.connector.connect(name, tcp).await.unwrap()).await;
    assert!(late.head.contains("connection: close"), "{}", late.head);
    late.until_live().await;
    let mut offset = 0;
    for commits in [1, 3, 200, 2, 1, 1] {
        let behind = offset;
        for _ in 0..commits {
            offset = record(&hub.feed(), offset, 1).await;
        }
        late.read_to(behind, offset).await;
    }
    let drained = hub.drain(std::time::Duration::ZERO);
    let ((), ()) = tokio::join!(drained, async {
        late.expect("closing").await;
        assert_eq!(late.event().await, None);
    });
}

#[tokio::test(start_paused = true)]
async fn silent_tls_client_is_closed() {
    let identity = Identity::new();
    let mut client = RawClient(identity.serve().await);
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

#[test]
fn the_dates_of_a_certificate_are_known() {
    let identity = Identity::new();
    let tls = |file: &Path| Tls::from_pem_files(file, &identity.key).unwrap();
    let whole = tls(&identity.certificate);
    let validity = whole.validity().unwrap();
    let second = SignedDuration::from_secs(1);
    // Both of its dates belong to it.
    for now in [validity.from, validity.until] {
        assert_eq!(whole.warning_at(now), None);
    }
    let file = identity.certificate.display().to_string();
    for (now, words) in [
        (validity.from - second, "not valid before"),
        (validity.until + second, "expired at"),
    ] {
        let warning = whole.warning_at(now).unwrap();
        assert!(warning.starts_with(&file), "{warning}");
        assert!(warning.contains(words), "{warning}");
    }

    // rustls does not read the rest of the chain.
    let own = std::fs::read_to_string(&identity.certificate).unwrap();
    let chain = format!("{own}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let folder = tempfile::tempdir().unwrap();
    let odd = tls(&write(folder.path(), "odd.pem", &chain));
    assert_eq!(odd.validity(), None);
    let warning = odd.warning_at(validity.from).unwrap();
    assert!(warning.contains("odd.pem: cannot read"), "{warning}");
}
