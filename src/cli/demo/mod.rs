//! `tallycast demo`: a server of its own, real purchases arriving, and a page that shows them.

mod browser;
mod link;
mod past;
mod purchases;

use std::{
    future::IntoFuture,
    io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use axum::Router;
use clap::Args;
use futures_util::future::{join_all, try_join_all};
use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use tallycast::{
    AppendError, BuildError, Event, Feed, Hub, Invalid, Jwt, KeyError, LedgerError, Limits,
    Origins, Serve, Signer, Sqlite, Unavailable, serve,
};
use tokio::{net::TcpListener, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tower_http::set_header::SetResponseHeaderLayer;

use super::{Failure, page::Page, say, serve::metrics, signals::Signals};
use link::Link;
use past::Past;
use purchases::Purchases;

/// Shows live consumption with real data, in a browser.
///
/// The purchases are those that customers of CDNOW, a music shop, made in 1997 and 1998, moved to now and folded
/// into twelve accounts: the first 6,240 become the accounts' last 40 days and today, the others arrive live, two
/// a second, and then all of them again. Names and budgets are made up. The ledger is in a temporary folder, which
/// is removed at the end.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3000")]
    listen: String,
    /// Where health and metrics are
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    admin_listen: String,
    /// Folder of the page [default: the one in this build, if it has one]
    #[arg(long, value_name = "FOLDER")]
    page: Option<PathBuf>,
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
    #[error(transparent)]
    Origins(#[from] Invalid),
    #[error("a purchase cannot be recorded: {0}")]
    Record(#[from] AppendError),
}

/// Two a second: each of the twelve accounts moves every six seconds on average.
const PURCHASE_INTERVAL: Duration = Duration::from_millis(1000 / 2);
/// The pause after a refusal that may pass.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// How long the page may take to be told that the demo ends: whoever presses Ctrl-C waits for it.
const DRAIN: Duration = Duration::from_secs(1);
const SECRET_BYTES: usize = 32;
/// Further public listeners. A browser opens six connections to one origin, and the page follows its account in
/// more ways than that: by Socket.IO over polling, by Server-Sent Events, by long polling.
const LANES: usize = 3;

/// Runs until it is interrupted.
pub(super) async fn run(args: DemoArgs) -> Result<(), Failure> {
    let page = match &args.page {
        Some(folder) => Page::folder(folder)?,
        None => Page::built_in().ok_or_else(no_page)?,
    };
    let metrics = metrics::install()?;
    show(args, page, metrics).await.map_err(Failure::failed)
}

fn no_page() -> Failure {
    Failure::usage(
        "this build has no page: say --page client-demo/dist after `make page`, or build with --features page",
    )
}

async fn show(
    args: DemoArgs,
    page: Page,
    metrics: impl Fn() -> String + Send + Sync + 'static,
) -> Result<(), DemoError> {
    let signals = Signals::listen().map_err(DemoError::Signals)?;
    let public = Listener::bind(&args.listen).await?;
    let admin = Listener::bind(&args.admin_listen).await?;
    let lanes = Listener::lanes(public.address.ip()).await?;
    let folder = tempfile::Builder::new()
        .prefix("tallycast-demo-")
        .tempdir()
        .map_err(DemoError::Folder)?;
    let mut secret = [0; SECRET_BYTES];
    getrandom::fill(&mut secret).map_err(DemoError::Random)?;
    let hub = hub(folder.path(), &secret).await?;
    let feed = hub.feed();
    let mut purchases = Purchases::read();
    let now = Timestamp::now().to_zoned(past::time_zone());
    Past::until(&now, &mut purchases).record(&feed).await?;

    let ports: Vec<_> = lanes.iter().map(|lane| lane.address.port()).collect();
    let link = Link::new(&Signer::hs256(secret)?, &ports)?;
    let listeners = [&public, &admin].into_iter().chain(&lanes);
    introduce(listeners.map(|listener| listener.address), &link);
    if !args.no_open {
        browser::open(&link.here(public.address));
    }
    let admin = admin.serve(hub.admin_router(metrics));
    let public = (public, hub.router().merge(page.router(&ports)));
    let lanes = lanes.into_iter().map(|lane| (lane, hub.router()));
    let servers = [public].into_iter().chain(lanes).collect();
    tokio::select! {
        () = serve_all(servers, hub, signals) => Ok(()),
        () = admin.into_future() => Ok(()),
        error = replay(&feed, purchases) => Err(error),
    }
}

async fn hub(folder: &Path, secret: &[u8]) -> Result<Hub, DemoError> {
    let ledger = Sqlite::open(folder.join("ledger.db"))?;
    // Every page may call: to a browser the lanes are of other origins than the page, whatever name it was opened
    // by. There are no cookies, and no other page has a token of this run's random secret.
    let hub = Hub::builder(ledger).allowed_origins(Origins::allow(["*"])?);
    Ok(hub.access(Jwt::hs256(secret)?).build().await?)
}

/// Serves until the demo is interrupted and its pages have been told.
async fn serve_all(servers: Vec<(Listener, Router)>, hub: Hub, mut signals: Signals) {
    let end = CancellationToken::new();
    let servers = servers.into_iter().map(|(listener, router)| {
        let server = listener.serve(timed(router));
        let server = server.with_graceful_shutdown(end.clone().cancelled_owned());
        server.into_future()
    });
    let goodbye = async {
        signals.next().await;
        hub.drain(DRAIN).await;
        end.cancel();
    };
    tokio::join!(join_all(servers), goodbye);
}

/// Lets the page measure what comes over its lanes, which to a browser are other origins.
fn timed(router: Router) -> Router {
    let header = HeaderName::from_static("timing-allow-origin");
    router.layer(SetResponseHeaderLayer::overriding(
        header,
        HeaderValue::from_static("*"),
    ))
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

    /// Lanes at the same address as the public listener.
    async fn lanes(ip: IpAddr) -> Result<Vec<Self>, DemoError> {
        let address = SocketAddr::new(ip, 0).to_string();
        try_join_all([address.as_str(); LANES].map(Self::bind)).await
    }

    fn serve(self, router: Router) -> Serve {
        serve(self.listener, router, Limits::default())
    }
}

/// Records a purchase now and then, for ever.
async fn replay(feed: &Feed, mut purchases: Purchases) -> DemoError {
    let mut ticks = tokio::time::interval(PURCHASE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = record(feed, purchases.next_purchase().event).await {
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

fn introduce(listeners: impl Iterator<Item = SocketAddr>, link: &Link) {
    let mut listeners = listeners.peekable();
    let public = *listeners.peek().expect("the public one is the first");
    for address in listeners {
        say(format_args!("listening on http://{address}"));
    }
    say(format_args!(
        "\nReal purchases (CDNOW, 1997 and 1998), as the last {} days of twelve accounts and live from now on.\n\
         Watch them:\n\n  {}\n",
        past::DAYS,
        link.here(public)
    ));
    if let Some(nearby) = link.nearby(public) {
        say(format_args!(
            "On a phone in the same network:\n\n  {nearby}\n"
        ));
    }
    say("Ctrl-C ends the demo and removes its ledger.");
}
