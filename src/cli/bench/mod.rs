//! `tallycast bench`: measures what a server delivers to watchers on this machine, and how fast.

mod generator;
mod report;
mod server_process;
mod usage;
mod workload;

use std::{
    net::{SocketAddr, ToSocketAddrs},
    time::{Duration, Instant},
};

use clap::{Args, ValueEnum};
use jiff::{SignedDuration, Timestamp};
use reqwest::Url;
use tallycast::{
    Grant, Scope,
    access::{Accounts, Scopes},
};

use super::{
    bearer::BearerArgs, command_error::CommandError, config::EffectiveConfig, descriptors,
    redact::UrlText, settings, signing_key::SigningKeyArgs,
};
use generator::{
    BenchError, Clients, HttpSource, Measured, TargetServer, WatchProtocol, workloads,
};
use report::Report;
use server_process::ServerProcess;
use workload::Workload;

/// Connections that post events: one for each burst that may be in flight.
const POSTERS: usize = 4;

/// Messages before the measurement, so that caches and allocators have settled.
const WARM_UP: u32 = 100;

/// How long idle watchers are measured.
const IDLE_TIME: Duration = Duration::from_secs(5);

/// How long the token that this command signs for itself is valid.
const TOKEN_LIFETIME: SignedDuration = SignedDuration::from_hours(12);

/// File descriptors for everything but the watchers.
const DESCRIPTORS_RESERVED: usize = 64;

/// Measures a server: posts events, follows them with many watchers, and checks every message.
///
/// The events are recorded in accounts named bench-… and stay there: do not run it against a production server.
/// The token needs the scopes watch and record, and access to all accounts. The watchers keep one processor
/// fully busy.
#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    /// URL of the server, such as `http://127.0.0.1:3000`
    #[arg(long, value_name = "URL")]
    to: UrlText,
    #[command(flatten)]
    bearer: BearerArgs,
    #[command(flatten)]
    key: SigningKeyArgs,
    /// What to measure
    #[arg(long, value_enum, default_value_t = Workload::Broadcast)]
    workload: Workload,
    /// How the watchers follow
    #[arg(long, value_enum, default_value_t = BenchTransport::Socketio)]
    transport: BenchTransport,
    /// Number of watching connections; with --workload ingest, number of accounts
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    watchers: u32,
    /// Number of events to post
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    messages: u32,
    /// Events a second, with --workload latency
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Process id of the server, if it runs on this machine: adds its processor time and memory
    #[arg(long)]
    pid: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BenchTransport {
    /// Socket.IO over a WebSocket
    Socketio,
    /// Plain WebSocket
    Ws,
    /// Server-Sent Events
    Sse,
}

impl BenchTransport {
    fn protocol(self, token: String) -> WatchProtocol {
        match self {
            Self::Socketio => WatchProtocol::feed_socket_io(token),
            Self::Ws => WatchProtocol::feed_web_socket(token),
            Self::Sse => WatchProtocol::feed_sse(token),
        }
    }
}

impl From<BenchError> for CommandError {
    fn from(error: BenchError) -> Self {
        Self::failed(error)
    }
}

pub(super) async fn run(args: BenchArgs) -> Result<(), CommandError> {
    let token = token(&args)?;
    if args.workload == Workload::Idle && args.pid.is_none() {
        return Err(CommandError::usage(
            "--workload idle measures the server's process: pass its process id with --pid",
        ));
    }
    // It polls without ever sleeping, which would block a thread of the runtime.
    let measured = tokio::task::spawn_blocking(move || measure(&args, token));
    measured.await.map_err(CommandError::failed)?
}

fn measure(args: &BenchArgs, token: String) -> Result<(), CommandError> {
    let limit = descriptors::raise().saturating_sub(DESCRIPTORS_RESERVED);
    if args.watchers as usize > limit {
        return Err(CommandError::usage(format_args!(
            "--watchers {}: the limit on open files allows {limit}; pass fewer, or raise it with ulimit -n",
            args.watchers
        )));
    }
    let target = target(&args.to)?;
    let prefix = format!(
        "bench-{:08x}-",
        getrandom::u32().map_err(CommandError::failed)?
    );
    let mut source = HttpSource::new(&target, &token, &prefix);
    let mut clients = Clients::new(target)?;
    let server = ServerProcess::new(args.pid)?;
    let started = Instant::now();
    let accounts = (0..args.watchers).map(|index| match args.workload {
        Workload::Broadcast => format!("{prefix}0"),
        _ => format!("{prefix}{index}"),
    });
    if args.workload != Workload::Ingest {
        clients.watch(args.transport.protocol(token), accounts)?;
    }
    let connected = server.since(started)?;
    let report = Report {
        workload: args.workload,
        watchers: args.watchers,
    };
    if args.workload == Workload::Connect {
        report.connected(&connected);
        return Ok(());
    }
    if args.workload == Workload::Idle {
        let server = ServerProcess::new(args.pid)?;
        let started = Instant::now();
        while started.elapsed() < IDLE_TIME {
            clients.poll(IDLE_TIME.saturating_sub(started.elapsed()), &mut |_, _| {})?;
        }
        report.idle(&connected, &server.since(started)?);
        return Ok(());
    }
    clients.open_posters(POSTERS)?;
    deliver(args, &mut clients, &mut source, WARM_UP.min(args.messages))?;
    let server = ServerProcess::new(args.pid)?;
    let started = Instant::now();
    let measured = deliver(args, &mut clients, &mut source, args.messages)?;
    report.delivered(&measured, &server.since(started)?);
    Ok(())
}

fn deliver(
    args: &BenchArgs,
    clients: &mut Clients,
    source: &mut HttpSource,
    messages: u32,
) -> Result<Measured, BenchError> {
    match args.workload {
        Workload::Unicast => workloads::unicast(clients, source, messages, args.watchers),
        Workload::Ingest => workloads::ingest(clients, source, messages, args.watchers),
        Workload::Latency => {
            workloads::at_rate(clients, source, messages, args.rate, args.watchers)
        }
        _ => workloads::broadcast(clients, source, messages, 1),
    }
}

/// The token from the command line, or one signed with the server's secret.
fn token(args: &BenchArgs) -> Result<String, CommandError> {
    if args.key.jwt_secret_file.is_none() {
        return args.bearer.read();
    }
    let signer = settings::signer(&EffectiveConfig::load(None, &args.key)?.config)?;
    let end = Timestamp::now() + TOKEN_LIFETIME;
    let scopes = Scopes::from_iter([Scope::Watch, Scope::Record]);
    let grant = Grant::new("bench", scopes, Accounts::all()).expiring_at(end);
    signer.sign(&grant).map_err(CommandError::usage)
}

fn target(to: &UrlText) -> Result<TargetServer, CommandError> {
    let bad = |why: &str| CommandError::usage(format_args!("--to {to}: {why}"));
    let url =
        Url::parse(to.expose()).map_err(|why| bad(&format!("{why}; write http://HOST:PORT")))?;
    if url.scheme() != "http" {
        return Err(bad(
            "write http://HOST:PORT; TLS is not supported, as it would be measured too",
        ));
    }
    let host = url
        .host_str()
        .ok_or_else(|| bad("write http://HOST:PORT"))?;
    let port = url.port_or_known_default().unwrap_or(80);
    let authority = format!("{host}:{port}");
    let addresses = authority.to_socket_addrs();
    let mut addresses = addresses.map_err(|why| bad(&why.to_string()))?;
    let address: SocketAddr = addresses
        .next()
        .ok_or_else(|| bad("the host has no address"))?;
    Ok(TargetServer::new(address, authority, url.path()))
}

#[cfg(test)]
mod tests;
