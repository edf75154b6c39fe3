//! `tallycast demo`: a server of its own, real purchases arriving, and a page that shows them.

mod browser;
mod page;
mod purchases;

use std::{
    future::IntoFuture,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use axum::Router;
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use tallycast::{
    Accounts, AppendError, BuildError, Event, Feed, Grant, Hub, Jwt, KeyError, LedgerError, Limits,
    Scope, Serve, Signer, Sqlite, Unavailable, serve,
};
use tokio::{net::TcpListener, time::MissedTickBehavior};

use super::{Failure, say, serve::metrics, signals::Signals};
use purchases::Purchases;

/// Shows live consumption with real data, in a browser.
///
/// The purchases are those that customers of CDNOW, a music shop, made in 1997 and 1998; they are replayed as
/// of now into twelve accounts. The ledger is in a temporary folder, which is removed at the end.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3000")]
    listen: String,
    /// Where health and metrics are
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    admin_listen: String,
    /// Do not open a browser
    #[arg(long)]
    no_open: bool,
}

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
enum DemoError {
    #[error("cannot listen on {address}: {cause}; choose another with --listen 127.0.0.1:0")]
    Listen { address: String, cause: io::Error },
    #[error("signals cannot be listened to: {0}")]
    Signals(io::Error),
    #[error("no temporary folder for the ledger: {0}; TMPDIR says where to look")]
    Folder(io::Error),
    #[error("no random numbers for a secret: {0}")]
    Random(getrandom::Error),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("a purchase cannot be recorded: {0}")]
    Record(AppendError),
}

/// Six a second: each of the twelve accounts moves every two seconds on average.
const PURCHASE_INTERVAL: Duration = Duration::from_millis(1000 / 6);
/// The pause after a refusal that may pass.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// How long the printed link works.
const TOKEN_HOURS: i64 = 24;
/// How long the page may take to be told that the demo ends: whoever presses Ctrl-C waits for it.
const DRAIN: Duration = Duration::from_secs(1);
const SECRET_BYTES: usize = 32;

/// Runs until it is interrupted.
pub(super) async fn run(args: DemoArgs) -> Result<(), Failure> {
    let metrics = metrics::install()?;
    show(args, metrics).await.map_err(Failure::failed)
}

async fn show(
    args: DemoArgs,
    metrics: impl Fn() -> String + Send + Sync + 'static,
) -> Result<(), DemoError> {
    let signals = Signals::listen().map_err(DemoError::Signals)?;
    let public = Listener::bind(&args.listen).await?;
    let admin = Listener::bind(&args.admin_listen).await?;
    let folder = tempfile::Builder::new()
        .prefix("tallycast-demo-")
        .tempdir()
        .map_err(DemoError::Folder)?;
    let mut secret = [0; SECRET_BYTES];
    getrandom::fill(&mut secret).map_err(DemoError::Random)?;
    let ledger = Sqlite::open(folder.path().join("ledger.db"))?;
    let hub = Hub::builder(ledger)
        .access(Jwt::hs256(secret)?)
        .build()
        .await?;

    let link = link(public.address, &Signer::hs256(secret)?)?;
    introduce(public.address, admin.address, &link);
    if !args.no_open {
        browser::open(&link);
    }
    let (feed, admin_router) = (hub.feed(), hub.admin_router(metrics));
    let server = public
        .serve(hub.router().merge(page::router()))
        .with_graceful_shutdown(goodbye(hub, signals));
    tokio::select! {
        () = server.into_future() => Ok(()),
        () = admin.serve(admin_router).into_future() => Ok(()),
        error = replay(&feed) => Err(error),
    }
}

/// Resolves when the demo is interrupted and its pages have been told.
async fn goodbye(hub: Hub, mut signals: Signals) {
    signals.next().await;
    hub.drain(DRAIN).await;
}

struct Listener {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listener {
    async fn bind(address: &str) -> Result<Self, DemoError> {
        let failed = |cause| DemoError::Listen {
            address: address.to_owned(),
            cause,
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    fn serve(self, router: Router) -> Serve {
        serve(self.listener, router, Limits::default())
    }
}

/// Records a purchase now and then, for ever.
async fn replay(feed: &Feed) -> DemoError {
    let mut purchases = Purchases::read();
    let mut ticks = tokio::time::interval(PURCHASE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = record(feed, purchases.next_event()).await {
            return error;
        }
    }
}

async fn record(feed: &Feed, event: Event) -> Result<(), DemoError> {
    loop {
        match feed.append(event.clone()).await {
            Ok(_) => return Ok(()),
            Err(AppendError::Unavailable(Unavailable::DiskFull | Unavailable::Busy(_))) => {
                tokio::time::sleep(RETRY_PAUSE).await;
            }
            Err(error) => return Err(DemoError::Record(error)),
        }
    }
}

/// The page's address, with one account's token in the fragment: a browser keeps that to itself.
fn link(address: SocketAddr, signer: &Signer) -> Result<String, DemoError> {
    let account = purchases::accounts().next().expect("there are twelve");
    let expires_at = Timestamp::now() + SignedDuration::from_hours(TOKEN_HOURS);
    let grant = Grant::new(
        account.as_str(),
        Scope::Watch,
        Accounts::only(account.clone()),
    )
    .expiring_at(expires_at);
    let token = signer.sign(&grant)?;
    Ok(format!(
        "http://{}/#account={account}&token={token}",
        reachable(address)
    ))
}

/// An address that a browser here can open: a server that listens on all of them has no address.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        let loopback: IpAddr = match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        address.set_ip(loopback);
    }
    address
}

fn introduce(public: SocketAddr, admin: SocketAddr, link: &str) {
    say(format_args!(
        "listening on http://{public}\nlistening on http://{admin}\n\n\
         Real purchases (CDNOW, 1997 and 1998), replayed as of now into twelve accounts.\n\
         Watch one of them:\n\n  {link}\n\n\
         Ctrl-C ends the demo and removes its ledger."
    ));
}
