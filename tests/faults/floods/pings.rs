//! F3: WebSocket pings whose answers are never read.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout_at},
};

use super::{
    super::{Plan, findings::Findings, http, socketio},
    Bounds, Flood, nothing, on_a_thread,
};

const SOCKETS: u64 = 20;
const ADDRESSES: u64 = 4;
const PAYLOAD_BYTES: usize = 125;
/// The kernel raises it to its minimum: answers do not fit for long.
const RECEIVE_BYTES: u32 = 4_096;
/// Little, since what waits here unsent counts as taken.
const SEND_BYTES: usize = 16 * 1024;
/// A ping may cost so much, unless its socket is closed.
const MICROS_MAX: f64 = 2.0;
const BOUNDS: Bounds = Bounds {
    mib_max: Some(50),
    p50_times_max: None,
    p99_times_max: Some(2.0),
};
const RETRY_PAUSE: Duration = Duration::from_millis(10);

pub(crate) async fn run(plan: Plan) -> Findings {
    let mut findings = Findings::default();
    for (name, reconnects) in [("pings", false), ("pings, connecting again", true)] {
        let lasts = Duration::from_secs(plan.either(2, 30));
        let flood = Flood::new(name, &plan, BOUNDS);
        let pinging = flood.run(&mut findings, nothing, async |server| {
            let server = server.public;
            let pinging = on_a_thread(move || ping_from_all(server, reconnects, lasts));
            pinging.await.unwrap()
        });
        let (sent, cost) = pinging.await;
        let pings = sent.bytes / ping().len() as u64;
        #[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^52")]
        let micros = cost.processor().as_secs_f64() * 1e6 / pings.max(1) as f64;
        let Sent { closed, open, .. } = sent;
        findings.figure(
            &format!("{name}: pings taken"),
            format!("{pings} at {micros:.2} µs, {closed} sockets closed, {open} left open"),
        );
        findings.check(open == 0 || micros <= MICROS_MAX, || {
            format!("{name}: {micros:.2} µs a ping, and {open} sockets were not closed")
        });
    }
    findings
}

/// What one or several clients sent.
#[derive(Debug, Default)]
struct Sent {
    bytes: u64,
    closed: u64,
    open: u64,
}

async fn ping_from_all(server: SocketAddr, reconnects: bool, lasts: Duration) -> Sent {
    let until = Instant::now() + lasts;
    let mut clients = JoinSet::new();
    for number in 0..SOCKETS {
        let from = http::address(1 + number % ADDRESSES);
        clients.spawn_local(ping_from(server, from, reconnects, until));
    }
    let mut all = Sent::default();
    while let Some(sent) = clients.join_next().await {
        let sent = sent.unwrap();
        all.bytes += sent.bytes;
        all.closed += sent.closed;
        all.open += sent.open;
    }
    all
}

async fn ping_from(server: SocketAddr, from: IpAddr, reconnects: bool, until: Instant) -> Sent {
    let mut sent = Sent::default();
    while Instant::now() < until {
        let pinging = async {
            let mut stream = open(server, from).await?;
            ping_for_ever(&mut stream, &mut sent.bytes).await
        };
        match timeout_at(until, pinging).await {
            // The last one is closed here; with others in its place, none is left open for long.
            Err(_) => sent.open += u64::from(!reconnects),
            Ok(_) => sent.closed += 1,
        }
        match reconnects {
            true => sleep(RETRY_PAUSE).await,
            false => sleep_until(until).await,
        }
    }
    sent
}

async fn open(server: SocketAddr, from: IpAddr) -> io::Result<TcpStream> {
    let stream = http::connect_with(server, from, Some(RECEIVE_BYTES)).await?;
    socket2::SockRef::from(&stream).set_send_buffer_size(SEND_BYTES)?;
    Ok(socketio::open(stream, server, "").await?.into_inner())
}

/// Ends when the server closes the connection.
async fn ping_for_ever(stream: &mut TcpStream, sent: &mut u64) -> io::Result<()> {
    let pings = ping().repeat(256);
    let mut rest = &pings[..];
    loop {
        let written = stream.write(rest).await?;
        *sent += written as u64;
        rest = &rest[written..];
        if rest.is_empty() {
            rest = &pings;
        }
    }
}

/// A masked ping (RFC 6455, section 5.2); the mask is zero.
fn ping() -> Vec<u8> {
    const FIN_AND_PING: u8 = 0x89;
    const MASKED: u8 = 0x80;
    let length = u8::try_from(PAYLOAD_BYTES).expect("it is small");
    let mut frame = vec![FIN_AND_PING, MASKED | length, 0, 0, 0, 0];
    frame.resize(frame.len() + PAYLOAD_BYTES, b'x');
    frame
}
