//! `tallycast bench`: what a server delivers, and how fast, to watchers on this machine.

mod generator;
mod report;
#[cfg(test)]
mod tests;
mod usage;

use std::{
    net::{SocketAddr, ToSocketAddrs},
    time::{Duration, Instant},
};

use clap::{Args, ValueEnum};
use jiff::{SignedDuration, Timestamp};
use reqwest::Url;
use tallycast::{Accounts, Grant, Scope, Scopes};

use super::{
    Failure, bearer::BearerArgs, config::Effective, descriptors, settings, token::KeyArgs,
};
use generator::{Fault, Fleet, Posts, Target, Way, drive};
use report::{Report, Server};

/// Connections that post: as many as there may be bursts on their way.
const POSTERS: usize = 4;

/// Messages before it counts, so that caches and allocators have settled.
const WARM_UP: u32 = 100;

/// How long idle watchers are looked at.
const IDLE: Duration = Duration::from_secs(5);

/// How long the token that this command signs for itself is valid.
const TOKEN_LIFETIME: SignedDuration = SignedDuration::from_hours(12);

/// Descriptors for all but the watchers.
const DESCRIPTORS_RESERVED: usize = 64;

/// Measures a server: posts events, follows them with many watchers, and checks every message.
///
/// It records events in accounts named bench-…, which stay: take a server to try things on. The token needs
/// the scopes watch and record, and all accounts. Beside a server on the same machine the watchers take
/// a processor of their own, all of it.
#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    /// Where the server is, such as `http://127.0.0.1:3000`
    #[arg(long, value_name = "URL")]
    to: String,
    #[command(flatten)]
    bearer: BearerArgs,
    #[command(flatten)]
    key: KeyArgs,
    /// What is measured
    #[arg(long, value_enum, default_value_t = Workload::Broadcast)]
    workload: Workload,
    /// How the watchers follow
    #[arg(long, value_enum, default_value_t = Transport::Socketio)]
    transport: Transport,
    /// How many connections follow; of ingest, how many accounts there are
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    watchers: u32,
    /// How many events are posted
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    messages: u32,
    /// Events a second, for the workload latency
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// The server's process, if it is on this machine: adds its processor time and memory
    #[arg(long)]
    pid: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Workload {
    /// One event at a time, to an account that all watch
    Broadcast,
    /// Events in batches, each to one of as many accounts as there are watchers
    Unicast,
    /// One event at a time at a fixed rate, to those accounts in turn
    Latency,
    /// Events in batches, each to one of those accounts, while nobody watches
    Ingest,
    /// How fast watchers connect, up to the end of their snapshot
    Connect,
    /// What watchers cost that nothing comes for
    Idle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Transport {
    /// Socket.IO over a WebSocket
    Socketio,
    /// The plain WebSocket
    Ws,
    /// Server-Sent Events
    Sse,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::failed(fault)
    }
}

pub(super) async fn run(args: BenchArgs) -> Result<(), Failure> {
    let token = token(&args)?;
    if args.workload == Workload::Idle && args.pid.is_none() {
        return Err(Failure::usage(
            "idle watchers are a cost of the server's process: name it with --pid",
        ));
    }
    // It polls without ever waiting, which is nothing for a thread of the runtime.
    let measured = tokio::task::spawn_blocking(move || measure(&args, token));
    measured.await.map_err(Failure::failed)?
}

fn measure(args: &BenchArgs, token: String) -> Result<(), Failure> {
    let limit = descriptors::raise().saturating_sub(DESCRIPTORS_RESERVED);
    if args.watchers as usize > limit {
        return Err(Failure::usage(format_args!(
            "{} watchers are more than the limit on open files allows: raise it (ulimit -n), or take {limit}",
            args.watchers
        )));
    }
    let target = target(&args.to)?;
    let prefix = format!("bench-{:08x}-", getrandom::u32().map_err(Failure::failed)?);
    let mut posts = Posts::new(&target, &token, &prefix);
    let mut fleet = Fleet::new(target)?;
    let server = Server::new(args.pid)?;
    let started = Instant::now();
    let accounts = (0..args.watchers).map(|index| match args.workload {
        Workload::Broadcast => format!("{prefix}0"),
        _ => format!("{prefix}{index}"),
    });
    if args.workload != Workload::Ingest {
        fleet.watch(way(args.transport, token), accounts)?;
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
        let server = Server::new(args.pid)?;
        let started = Instant::now();
        while started.elapsed() < IDLE {
            fleet.turn(IDLE.saturating_sub(started.elapsed()), &mut |_, _| {})?;
        }
        report.idle(&connected, &server.since(started)?);
        return Ok(());
    }
    fleet.open_posters(POSTERS)?;
    deliver(args, &mut fleet, &mut posts, WARM_UP.min(args.messages))?;
    let server = Server::new(args.pid)?;
    let started = Instant::now();
    let measured = deliver(args, &mut fleet, &mut posts, args.messages)?;
    report.delivered(&measured, &server.since(started)?);
    Ok(())
}

fn deliver(
    args: &BenchArgs,
    fleet: &mut Fleet,
    posts: &mut Posts,
    messages: u32,
) -> Result<generator::Measured, Fault> {
    match args.workload {
        Workload::Unicast => drive::unicast(fleet, posts, messages, args.watchers),
        Workload::Ingest => drive::ingest(fleet, posts, messages, args.watchers),
        Workload::Latency => drive::at_rate(fleet, posts, messages, args.rate, args.watchers),
        _ => drive::broadcast(fleet, posts, messages, 1),
    }
}

fn way(transport: Transport, token: String) -> Way {
    match transport {
        Transport::Socketio => Way::feed_socket_io(token),
        Transport::Ws => Way::feed_web_socket(token),
        Transport::Sse => Way::feed_sse(token),
    }
}

/// The token that was given, or one signed with the server's own secret.
fn token(args: &BenchArgs) -> Result<String, Failure> {
    if args.key.jwt_secret_file.is_none() {
        return args.bearer.read();
    }
    let signer = settings::signer(&Effective::load(None, &args.key)?.config)?;
    let end = Timestamp::now() + TOKEN_LIFETIME;
    let scopes = Scopes::from_iter([Scope::Watch, Scope::Record]);
    let grant = Grant::new("bench", scopes, Accounts::all()).expiring_at(end);
    signer.sign(&grant).map_err(Failure::usage)
}

fn target(to: &str) -> Result<Target, Failure> {
    let bad = |why: &str| Failure::usage(format_args!("to {to}: {why}"));
    let url = Url::parse(to).map_err(|why| bad(&format!("{why}; say http://HOST:PORT")))?;
    if url.scheme() != "http" {
        return Err(bad(
            "say http://HOST:PORT; TLS is not spoken here, it would be measured too",
        ));
    }
    let host = url.host_str().ok_or_else(|| bad("say http://HOST:PORT"))?;
    let port = url.port_or_known_default().unwrap_or(80);
    let authority = format!("{host}:{port}");
    let found = authority.to_socket_addrs();
    let mut found = found.map_err(|why| bad(&why.to_string()))?;
    let address: SocketAddr = found.next().ok_or_else(|| bad("it has no address"))?;
    Ok(Target::new(address, authority, url.path()))
}
