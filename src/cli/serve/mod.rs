//! `tallycast serve`: the server, from its configuration to its last client.

mod flash_policy;
pub(super) mod metrics;

use std::{future::IntoFuture, path::PathBuf, time::Duration};

use axum::Router;
use clap::Args;
use serde::Serialize;
use tallycast::{Hub, HubBuilder, Limits, Memory, Sqlite, Tls};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{
    Failure,
    config::{Effective, LogFormat},
    log, say,
    settings::{self, LedgerChoice},
    signals::Signals,
};

/// Connections on the second listener: a few probes and scrapers. Fewer than the descriptors that
/// [`settings::limits`] keeps back from the public one.
const ADMIN_CONNECTIONS_MAX: usize = 32;

/// Serves customers' consumption from a ledger.
///
/// Every option is also a key of the configuration file (`--jwt-secret-file` is `jwt_secret_file`) and
/// an environment variable (`TALLYCAST_JWT_SECRET_FILE`). A flag wins over a variable, a variable over
/// the file.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    config: ConfigArgs,
}

/// The configuration as flags.
#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    /// Configuration file (TOML)
    #[arg(long, env = "TALLYCAST_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Args, Serialize)]
struct Flags {
    /// Where customers and producers connect; port 0 takes a free one [default: 127.0.0.1:3000]
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    listen: Option<String>,
    /// Where health and metrics are, for nobody outside [default: 127.0.0.1:9090]
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    admin_listen: Option<String>,
    /// Where Flash players may fetch a socket policy file [default: nowhere]
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    flash_policy_listen: Option<String>,
    /// sqlite:FILE, or memory to try things out [default: sqlite:consumption.db]
    #[arg(long, value_name = "LEDGER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    ledger: Option<String>,
    /// File with the secret that tokens are signed with, 32 bytes or more
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    jwt_secret_file: Option<PathBuf>,
    /// File with the secret before that one, while a rotation lasts
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    jwt_previous_secret_file: Option<PathBuf>,
    /// PEM file with the public key of tokens (`EdDSA`, ES256, RS256), instead of a secret
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    jwt_public_key_file: Option<PathBuf>,
    /// JWKS file with public keys, instead of a secret
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    jwt_jwks_file: Option<PathBuf>,
    /// The `aud` that tokens must have
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    jwt_audience: Option<String>,
    /// The `iss` that tokens must have
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    jwt_issuer: Option<String>,
    /// Origins whose pages may call, with commas between; '*' for all [default: the server's own]
    #[arg(long, value_delimiter = ',', value_name = "ORIGINS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_origins: Option<Vec<String>>,
    /// Folder of a page to show at / [default: none]
    #[arg(long, value_name = "FOLDER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<PathBuf>,
    /// PEM file with the certificate chain: turns TLS on
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_certificate_file: Option<PathBuf>,
    /// PEM file with the certificate's private key
    #[arg(long, value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_key_file: Option<PathBuf>,
    /// Connections at once [default: 100000, or what the limit on open files allows]
    #[arg(long, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    connections_max: Option<usize>,
    /// Connections at once from one address; raise it behind a proxy [default: 4096]
    #[arg(long, value_name = "NUMBER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    connections_per_peer_max: Option<usize>,
    /// How long a shutdown may take to send everyone away [default: 10]
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    drain_seconds: Option<u64>,
    /// How log lines look, on stderr [default: pretty]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<LogFormat>,
    /// error, warn, info, debug, trace, or directives such as info,tallycast=debug [default: info]
    #[arg(long, value_name = "LEVEL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    log_level: Option<String>,
}

impl ConfigArgs {
    pub(super) fn load(&self) -> Result<Effective, Failure> {
        Effective::load(self.config.as_deref(), &self.flags)
    }
}

pub(super) async fn run(args: ServeArgs) -> Result<(), Failure> {
    let config = args.config.load()?.config;
    log::start(&config)?;
    let tls = settings::tls(&config)?;
    let limits = settings::limits(&config);
    let access = settings::jwt(&config)?;
    let origins = settings::origins(&config)?;
    let page = settings::page(&config)?;
    let ledger = settings::ledger(&config)?;
    let mut signals = Signals::listen().map_err(Failure::failed)?;
    // Before the ledger is touched: a second server by mistake is told here.
    let public = bind("listen", &config.listen).await?;
    let admin = bind("admin_listen", &config.admin_listen).await?;
    let flash_policy = match &config.flash_policy_listen {
        Some(address) => Some(bind("flash_policy_listen", address).await?),
        None => None,
    };
    let metrics = metrics::install()?;
    let hub = builder(ledger)?.access(access).allowed_origins(origins);
    let hub = match settings::ticket_secret(&config)? {
        Some(secret) => hub.ticket_secret(secret),
        None => hub,
    };
    let hub = hub.build().await.map_err(Failure::failed)?;
    announce(&public, if tls.is_some() { "https" } else { "http" })?;
    announce(&admin, "http")?;
    let port = public.local_addr().map_err(Failure::failed)?.port();
    let flash_policy = match flash_policy {
        Some(listener) => {
            announce(&listener, "tcp")?;
            let file = flash_policy::file(&config.allowed_origins, port);
            Some(tokio::spawn(flash_policy::serve(listener, file)))
        }
        None => None,
    };
    let router = match page {
        Some(page) => hub.router().merge(page.router(&[])),
        None => hub.router(),
    };
    let server = Server {
        public: Listener::start(public, router, limits, tls),
        admin: Listener::start(admin, hub.admin_router(metrics), admin_limits(), None),
        flash_policy,
        drain: settings::drain(&config),
        hub,
    };
    server.run(&mut signals).await
}

async fn bind(key: &str, address: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address)
        .await
        .map_err(|why| Failure::failed(format_args!("{key} {address:?}: {why}")))
}

fn builder(ledger: LedgerChoice) -> Result<HubBuilder, Failure> {
    Ok(match ledger {
        LedgerChoice::Memory => Hub::builder(Memory::new()),
        LedgerChoice::Sqlite(file) => Hub::builder(Sqlite::open(file).map_err(Failure::failed)?),
    })
}

/// Tells whoever started us where to connect. They may not listen, which is no failure.
fn announce(listener: &TcpListener, scheme: &str) -> Result<(), Failure> {
    let address = listener.local_addr().map_err(Failure::failed)?;
    say(format_args!("listening on {scheme}://{address}"));
    Ok(())
}

fn admin_limits() -> Limits {
    Limits {
        connections_max: ADMIN_CONNECTIONS_MAX,
        ..Limits::default()
    }
}

/// An accept loop at work.
struct Listener {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Listener {
    fn start(listener: TcpListener, router: Router, limits: Limits, tls: Option<Tls>) -> Self {
        let stop = CancellationToken::new();
        let serve = tallycast::serve(listener, router, limits)
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

    /// Accepts no more, and ends with its last request.
    async fn stop(self) -> Result<(), Failure> {
        self.stop.cancel();
        self.task.await.map_err(Failure::failed)
    }
}

struct Server {
    hub: Hub,
    public: Listener,
    admin: Listener,
    flash_policy: Option<JoinHandle<()>>,
    drain: Duration,
}

impl Server {
    /// Until a signal or the ledger's failure, then through the drain. A further signal exits at once.
    async fn run(self, signals: &mut Signals) -> Result<(), Failure> {
        let ended = tokio::select! {
            signal = signals.next() => {
                tracing::info!(signal = signal.name(), "shutting down");
                Ok(())
            }
            () = self.hub.failed() => {
                Err(Failure::Failed("the ledger has failed: whether the last commit is durable is \
                    unknown; start again, producers then retry".to_owned()))
            }
        };
        tokio::select! {
            signal = signals.next() => signal.exit(),
            drained = self.drain() => drained.and(ended),
        }
    }

    async fn drain(self) -> Result<(), Failure> {
        if let Some(flash_policy) = &self.flash_policy {
            flash_policy.abort();
        }
        let ((), stopped) = tokio::join!(self.hub.drain(self.drain), self.public.stop());
        // Nobody is left who would record: the next start finds its log in the database.
        self.hub.feed().close().await;
        // Last, so that whoever watches us sees why we are not ready.
        stopped.and(self.admin.stop().await)
    }
}
