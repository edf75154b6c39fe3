//! `tallycast serve`: runs the server.

mod accept_loop;
mod flash_policy;
mod running_server;

use clap::Args;
use tallycast::{Hub, HubBuilder, Jwt, Limits, Memory, Sqlite, serve::TrustedProxies};
use tokio::net::TcpListener;

use super::{
    command_error::CommandError,
    config::ConfigArgs,
    log, metrics,
    output::print_line,
    settings::{self, LedgerChoice},
    signals::Signals,
};
use accept_loop::AcceptLoop;
use running_server::RunningServer;

/// The most connections on the admin listener, which serves a few probes and scrapers. Fewer than the file
/// descriptors that [`settings::limits`] reserves.
const ADMIN_CONNECTIONS_MAX: usize = 32;

/// Runs the server.
///
/// Every option is also a key of the configuration file (`--jwt-secret-file` is `jwt_secret_file`) and
/// an environment variable (`TALLYCAST_JWT_SECRET_FILE`). A flag wins over a variable, a variable over
/// the file.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) async fn run(args: ServeArgs) -> Result<(), CommandError> {
    let effective = args.config.load()?;
    let config = &effective.config;
    log::start(config)?;
    let tls = settings::tls(config)?;
    let limits = settings::limits(config);
    let proxies = settings::trusted_proxies(config)?;
    let access = settings::jwt(config)?;
    let origins = settings::origins(config)?;
    let page = settings::page(config)?;
    let ledger = settings::ledger(config)?;
    let mut signals = Signals::listen().map_err(CommandError::failed)?;
    // Before the ledger is opened: a second server, started by mistake, fails here.
    let public = bind("listen", &config.listen).await?;
    let admin = bind("admin_listen", &config.admin_listen).await?;
    let flash_policy = match &config.flash_policy_listen {
        Some(address) => Some(bind("flash_policy_listen", address).await?),
        None => None,
    };
    let metrics = metrics::install()?;
    let hub = builder(ledger, access)?
        .allowed_origins(origins)
        .quotas(settings::quotas(config))
        .trusted_proxies(proxies.clone());
    let hub = match settings::ticket_secret(config)? {
        Some(secret) => hub.ticket_secret(secret),
        None => hub,
    };
    let hub = hub.build().await.map_err(CommandError::failed)?;
    // Not before: a start that fails prints its error and nothing else.
    for warning in settings::warnings(&effective) {
        tracing::warn!("{warning}");
    }
    announce(&public, if tls.is_some() { "https" } else { "http" })?;
    announce(&admin, "http")?;
    let port = public.local_addr().map_err(CommandError::failed)?.port();
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
    let server = RunningServer {
        public: AcceptLoop::start(public, router, limits, proxies, tls),
        admin: AcceptLoop::start(
            admin,
            hub.admin_router(metrics),
            admin_limits(),
            TrustedProxies::default(),
            None,
        ),
        flash_policy,
        drain: settings::drain(config),
        hub,
    };
    server.run(&mut signals).await
}

async fn bind(key: &str, address: &str) -> Result<TcpListener, CommandError> {
    TcpListener::bind(address)
        .await
        .map_err(|why| CommandError::failed(format_args!("{key} {address:?}: {why}")))
}

fn builder(ledger: LedgerChoice, access: Jwt) -> Result<HubBuilder, CommandError> {
    Ok(match ledger {
        LedgerChoice::Memory => Hub::builder(Memory::new(), access),
        LedgerChoice::Sqlite(file) => {
            let ledger = Sqlite::open(file).map_err(CommandError::failed)?;
            Hub::builder(ledger, access)
        }
    })
}

/// Prints a listener's address.
fn announce(listener: &TcpListener, scheme: &str) -> Result<(), CommandError> {
    let address = listener.local_addr().map_err(CommandError::failed)?;
    print_line(format_args!("listening on {scheme}://{address}"));
    Ok(())
}

fn admin_limits() -> Limits {
    Limits {
        connections_max: ADMIN_CONNECTIONS_MAX,
        // Probes and scrapers often have one address. For a new one, the connection that is idle the longest is closed.
        connections_per_peer_max: Some(ADMIN_CONNECTIONS_MAX),
        ..Limits::default()
    }
}
