//! F2: bodies of requests that never end.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
    sync::Barrier,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    super::{Plan, findings::Findings, http, token},
    Bounds, Flood, STRANGER, nothing, on_a_thread,
};

const BODIES: u64 = 150;
const BODY_BYTES: usize = 4 * 1024 * 1024;
/// The address of a client is another one for each of so many bodies.
const OF_AN_ADDRESS: u64 = 10;
/// What one client's bodies may hold together, by the documented limit, in whole bodies.
const HELD_MAX: u64 = 8;
/// With a token that may not record.
const REFUSED_MIB_MAX: u64 = 50;
/// 32 MiB of bodies, and the buffers of the connections.
const HELD_MIB_MAX: u64 = 100;
/// The chunks of a body that trickles.
const CHUNK_BYTES: usize = 64 * 1024;
/// Every body is answered or sent within this, or the server hangs.
const SETTLED_MAX: Duration = Duration::from_secs(60);

pub(crate) async fn run(plan: Plan) -> Findings {
    let mut findings = Findings::default();
    let watching = Bodies {
        name: "a watch token",
        token: token::watcher(STRANGER).into(),
        trickles: false,
        mib_max: REFUSED_MIB_MAX,
    };
    let seen = watching.run(&plan, &mut findings).await;
    findings.check(seen.count(Some(404)) == BODIES, || {
        format!("a watch token: {seen} instead of {BODIES} times 404")
    });
    for (name, trickles) in [
        ("a record token", false),
        ("a record token, in chunks", true),
    ] {
        let recording = Bodies {
            name,
            token: token::customer(STRANGER, "record").into(),
            trickles,
            mib_max: HELD_MIB_MAX,
        };
        let seen = recording.run(&plan, &mut findings).await;
        // In the long form, the server gives up those that stall (400).
        let held = seen.count(None) + seen.count(Some(400));
        let refused = seen.count(Some(429));
        findings.check(held + refused == BODIES, || {
            format!("{name}: other answers than 429: {seen}")
        });
        // Those that trickle grow until they fill the limit together.
        findings.check(trickles || held <= HELD_MAX, || {
            format!("{name}: {held} bodies were held, {HELD_MAX} at most")
        });
        findings.check(refused > 0, || format!("{name}: nothing was refused"));
    }
    findings
}

/// Bodies with one token, from several addresses, each one byte short.
struct Bodies {
    name: &'static str,
    token: Arc<str>,
    /// Whether they are chunked, and come slowly.
    trickles: bool,
    mib_max: u64,
}

impl Bodies {
    async fn run(&self, plan: &Plan, findings: &mut Findings) -> Seen {
        let bounds = Bounds {
            mib_max: Some(self.mib_max),
            ..Bounds::default()
        };
        let manner = Manner {
            pause: self
                .trickles
                .then(|| Duration::from_millis(plan.either(10, 100))),
            holds: Duration::from_secs(plan.either(1, 10)),
        };
        let flood = Flood::new(self.name, plan, bounds);
        let holding = flood.run(findings, nothing, async |server| {
            let (server, token) = (server.public, Arc::clone(&self.token));
            let holding = on_a_thread(move || hold_all(server, token, manner));
            holding.await.unwrap()
        });
        let (seen, _) = holding.await;
        findings.figure(&format!("{}: answers", self.name), &seen);
        seen
    }
}

/// How many bodies got this status, or no answer while they were held.
#[derive(Debug, Default)]
struct Seen {
    statuses: BTreeMap<Option<u16>, u64>,
    lost: u64,
}

impl Seen {
    fn count(&self, status: Option<u16>) -> u64 {
        self.statuses.get(&status).copied().unwrap_or(0)
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (status, count) in &self.statuses {
            match status {
                Some(status) => write!(f, "{count} times {status}, ")?,
                None => write!(f, "{count} held to the end, ")?,
            }
        }
        write!(f, "{} connections lost", self.lost)
    }
}

/// How a body is sent.
#[derive(Debug, Clone, Copy)]
struct Manner {
    /// Between chunks; none for a body that is declared and sent at once.
    pause: Option<Duration>,
    /// How long those that are not refused are held, once all are sent or refused.
    holds: Duration,
}

async fn hold_all(server: SocketAddr, token: Arc<str>, manner: Manner) -> Seen {
    let unsettled = Arc::new(Barrier::new(usize::try_from(BODIES).unwrap()));
    let mut bodies = JoinSet::new();
    for number in 0..BODIES {
        let from = http::address(1 + number / OF_AN_ADDRESS);
        let (token, unsettled) = (Arc::clone(&token), Arc::clone(&unsettled));
        bodies.spawn_local(hold(server, token, from, manner, unsettled));
    }
    let mut seen = Seen::default();
    while let Some(status) = bodies.join_next().await {
        match status.unwrap() {
            Ok(status) => *seen.statuses.entry(status).or_default() += 1,
            Err(_) => seen.lost += 1,
        }
    }
    seen
}

/// The status that a body gets, or none if it is held to the end.
async fn hold(
    server: SocketAddr,
    token: Arc<str>,
    from: IpAddr,
    manner: Manner,
    unsettled: Arc<Barrier>,
) -> io::Result<Option<u16>> {
    let beginning = begin(server, &token, from, manner).await;
    let Ok((reader, mut writer)) = beginning else {
        unsettled.wait().await;
        return beginning.map(|_| None);
    };
    let mut answer = Box::pin(status(reader));
    let sending = async {
        let sent = match manner.pause {
            Some(pause) => send_chunks(&mut writer, pause).await,
            None => send_all_but_one(&mut writer).await,
        };
        if sent.is_err() {
            // The server closes once it has answered; the answer counts.
            std::future::pending::<()>().await;
        }
    };
    let early = tokio::select! {
        answer = &mut answer => Some(answer),
        () = sending => None,
        () = sleep(SETTLED_MAX) => Some(Err(io::ErrorKind::TimedOut.into())),
    };
    unsettled.wait().await;
    match early {
        Some(early) => {
            sleep(manner.holds).await;
            early.map(Some)
        }
        None => match timeout(manner.holds, answer).await {
            Ok(answer) => answer.map(Some),
            Err(_) => Ok(None),
        },
    }
}

async fn begin(
    server: SocketAddr,
    token: &str,
    from: IpAddr,
    manner: Manner,
) -> io::Result<(OwnedReadHalf, OwnedWriteHalf)> {
    let (reader, mut writer) = http::connect(server, from).await?.into_split();
    let framing = match manner.pause {
        Some(_) => "Transfer-Encoding: chunked".to_owned(),
        None => format!("Content-Length: {BODY_BYTES}"),
    };
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nHost: {server}\r\nAuthorization: Bearer {token}\r\n{framing}\r\n\r\n"
    );
    writer.write_all(head.as_bytes()).await?;
    Ok((reader, writer))
}

async fn send_all_but_one(writer: &mut OwnedWriteHalf) -> io::Result<()> {
    static SPACES: [u8; BODY_BYTES] = [b' '; BODY_BYTES];
    writer.write_all(&SPACES[1..]).await
}

async fn send_chunks(writer: &mut OwnedWriteHalf, pause: Duration) -> io::Result<()> {
    let chunk = format!("{CHUNK_BYTES:x}\r\n{}\r\n", " ".repeat(CHUNK_BYTES));
    for _ in 1..BODY_BYTES / CHUNK_BYTES {
        writer.write_all(chunk.as_bytes()).await?;
        sleep(pause).await;
    }
    Ok(())
}

/// The status of the answer.
async fn status(mut reader: OwnedReadHalf) -> io::Result<u16> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n") {
        head.push(reader.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head);
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    status.ok_or_else(|| io::ErrorKind::InvalidData.into())
}
