//! `tallycast demo`: runs a server with real purchases arriving, and a page that shows them.

mod browser;
mod error;
mod link;
mod listener;
mod past_purchases;
mod purchases;

use std::{
    future::IntoFuture,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use axum::Router;
use clap::Args;
use futures_util::future::join_all;
use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use tallycast::{
    AppendError, Event, Feed, Hub, Jwt, Origins, Sqlite, access::Signer, ledger::Unavailable,
};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tower_http::set_header::SetResponseHeaderLayer;

use super::{
    command_error::CommandError, metrics, output::print_line, page::WebPage, signals::Signals,
};
use error::DemoError;
use link::Link;
use listener::DemoListener;
use past_purchases::PastPurchases;
use purchases::Purchases;

/// Shows live consumption with real data, in a browser.
///
/// The purchases are real: customers of CDNOW, a music shop, made them in 1997 and 1998. The demo moves them to today
/// and distributes them over twelve accounts. The first 6,240 become the accounts' last 40 days and today; the others
/// arrive live, two per second, and then all of them repeat. Names and budgets are made up. The ledger is in a
/// temporary folder, which is removed at the end.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Address to listen on; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3000")]
    listen: String,
    /// Address for health and metrics
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    admin_listen: String,
    /// Folder of the page [default: the built-in page, if there is one]
    #[arg(long, value_name = "FOLDER")]
    page: Option<PathBuf>,
    /// Do not open a browser
    #[arg(long)]
    no_open: bool,
}

/// Two per second: each of the twelve accounts changes every six seconds on average.
const PURCHASE_INTERVAL: Duration = Duration::from_millis(1000 / 2);
/// The pause before a retry.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// How long the end of the demo may take to notify the page. The user waits for this after Ctrl-C.
const DRAIN: Duration = Duration::from_secs(1);
const SECRET_BYTES: usize = 32;

/// Runs until it is interrupted.
pub(super) async fn run(args: DemoArgs) -> Result<(), CommandError> {
    let page = match &args.page {
        Some(folder) => WebPage::folder(folder)?,
        None => WebPage::built_in().ok_or_else(no_page)?,
    };
    let metrics = metrics::install()?;
    run_demo(args, page, metrics)
        .await
        .map_err(CommandError::failed)
}

fn no_page() -> CommandError {
    CommandError::usage(
        "this build has no page: pass --page client-demo/dist after `make page`, or build with --features page",
    )
}

async fn run_demo(
    args: DemoArgs,
    page: WebPage,
    metrics: impl Fn() -> String + Send + Sync + 'static,
) -> Result<(), DemoError> {
    let signals = Signals::listen().map_err(DemoError::Signals)?;
    let public = DemoListener::bind(&args.listen).await?;
    let admin = DemoListener::bind(&args.admin_listen).await?;
    let extra = DemoListener::bind_extra(public.address.ip()).await?;
    let folder = tempfile::Builder::new()
        .prefix("tallycast-demo-")
        .tempdir()
        .map_err(DemoError::Folder)?;
    let mut secret = [0; SECRET_BYTES];
    getrandom::fill(&mut secret).map_err(DemoError::Random)?;
    let hub = hub(folder.path(), &secret).await?;
    let feed = hub.feed();
    let mut purchases = Purchases::read();
    let now = Timestamp::now().to_zoned(past_purchases::time_zone());
    PastPurchases::until(&now, &mut purchases)
        .record(&feed)
        .await?;

    let extra_ports: Vec<_> = extra.iter().map(|it| it.address.port()).collect();
    let link = Link::new(&Signer::hs256(secret)?, &extra_ports)?;
    let listeners = [&public, &admin].into_iter().chain(&extra);
    print_addresses(listeners.map(|listener| listener.address), &link);
    if !args.no_open {
        browser::open(&link.here(public.address));
    }
    let admin = admin.serve(hub.admin_router(metrics));
    let public = (public, hub.router().merge(page.router(&extra_ports)));
    let extra = extra.into_iter().map(|listener| (listener, hub.router()));
    let servers = [public].into_iter().chain(extra).collect();
    tokio::select! {
        () = serve_all(servers, hub, signals) => Ok(()),
        () = admin.into_future() => Ok(()),
        error = record_live(&feed, purchases) => Err(error),
    }
}

async fn hub(folder: &Path, secret: &[u8]) -> Result<Hub, DemoError> {
    let ledger = Sqlite::open(folder.join("ledger.db"))?;
    // All origins may call: to a browser the extra ports are other origins than the page's, and the page may be opened
    // under any name. There are no cookies, and no other page has a token signed with this run's random secret.
    let hub = Hub::builder(ledger, Jwt::hs256(secret)?).allowed_origins(Origins::allow(["*"])?);
    Ok(hub.build().await?)
}

/// Serves until the demo is interrupted and its pages are notified.
async fn serve_all(servers: Vec<(DemoListener, Router)>, hub: Hub, mut signals: Signals) {
    let end = CancellationToken::new();
    let servers = servers.into_iter().map(|(listener, router)| {
        let server = listener.serve(with_timing_header(router));
        let server = server.with_graceful_shutdown(end.clone().cancelled_owned());
        server.into_future()
    });
    let shutdown = async {
        signals.next().await;
        hub.drain(DRAIN).await;
        end.cancel();
    };
    tokio::join!(join_all(servers), shutdown);
}

/// Allows the page to measure requests to the extra ports, which to a browser are other origins.
fn with_timing_header(router: Router) -> Router {
    let header = HeaderName::from_static("timing-allow-origin");
    router.layer(SetResponseHeaderLayer::overriding(
        header,
        HeaderValue::from_static("*"),
    ))
}

/// Records a purchase every [`PURCHASE_INTERVAL`], until one fails.
async fn record_live(feed: &Feed, mut purchases: Purchases) -> DemoError {
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

/// Prints the addresses and the link. The public listener comes first.
fn print_addresses(listeners: impl Iterator<Item = SocketAddr>, link: &Link) {
    let mut listeners = listeners.peekable();
    let public = *listeners.peek().expect("the public one is the first");
    for address in listeners {
        print_line(format_args!("listening on http://{address}"));
    }
    print_line("");
    print_line(format_args!(
        "Real purchases (CDNOW, 1997 and 1998) as the last {} days of twelve accounts, and live from now on.",
        past_purchases::DAYS
    ));
    print_link("Watch them:", &link.here(public));
    if let Some(nearby) = link.nearby(public) {
        print_link("On a phone in the same network:", &nearby);
    }
    print_line("Ctrl-C ends the demo and removes its ledger.");
}

fn print_link(title: &str, link: &str) {
    for line in [title, "", &format!("  {link}"), ""] {
        print_line(line);
    }
}
