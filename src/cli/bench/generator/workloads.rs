//! Asks a source for messages, as fast as a window allows or at a fixed rate, and measures their delivery.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{
    clients::{Clients, Counts},
    error::BenchError,
    latencies::Latencies,
    random_accounts::RandomAccounts,
    silence::SilenceTimeout,
    source::Source,
};

/// Messages to random accounts are asked for in bursts of this many: one request, or one line to a peer.
pub(crate) const BURST: u32 = 100;

/// The most of these messages in flight.
pub(crate) const UNICAST_WINDOW: u64 = 400;

/// How long a measurement keeps reading after the last message, to catch a duplicate.
const SETTLE: Duration = Duration::from_millis(50);

/// What was measured.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) elapsed: Duration,
    /// Entries that arrived, each at one watcher.
    pub(crate) delivered: u64,
    /// The messages that carried them.
    pub(crate) messages: u64,
    /// The mean size of a message: its WebSocket frame's payload, or its SSE event's data.
    pub(crate) payload_bytes: f64,
    /// From the request for a message to its arrival (at the last watcher).
    pub(crate) latencies: Latencies,
}

/// Sends `messages` to account 0, which all clients watch, at most `window` of them in flight.
pub(crate) fn broadcast(
    clients: &mut Clients,
    source: &mut impl Source,
    messages: u32,
    window: u64,
) -> Result<Measured, BenchError> {
    let mut measurement = Measurement::start(clients, u64::from(messages) * clients.watchers());
    let mut sent_at = VecDeque::new();
    let (mut sent, mut arrived) = (0, 0);
    while !measurement.is_done(clients)? {
        let can_send = sent - arrived < window && source.can_send(clients);
        if can_send && sent < u64::from(messages) {
            sent_at.push_back(Instant::now());
            source.send(clients, 0)?;
            sent += 1;
        }
        clients.poll(Duration::ZERO, &mut |_, _| {})?;
        while arrived < measurement.delivered(clients) / clients.watchers() {
            arrived += 1;
            let sent_at: Option<Instant> = sent_at.pop_front();
            measurement.arrived(sent_at.map(|at| at.elapsed()));
        }
    }
    measurement.end(clients)
}

/// Sends `messages` (rounded up to whole bursts) to random accounts, numbered 0 to `accounts` − 1. The first of
/// these have one watcher each; messages to the others are not counted in `delivered`.
pub(crate) fn unicast(
    clients: &mut Clients,
    source: &mut impl Source,
    messages: u32,
    accounts: u32,
) -> Result<Measured, BenchError> {
    let bursts = messages.div_ceil(BURST);
    let mut measurement = Measurement::start(clients, 0);
    let mut sent = 0;
    while !measurement.is_done(clients)? || sent < bursts || clients.has_busy_poster() {
        let due = measurement.due + watched(clients, sent, accounts);
        let can_send =
            due <= measurement.delivered(clients) + UNICAST_WINDOW && source.can_send(clients);
        if can_send && sent < bursts {
            source.send_random(clients, sent, BURST, accounts)?;
            measurement.due = due;
            sent += 1;
        }
        clients.poll(Duration::ZERO, &mut |_, _| {})?;
    }
    measurement.end(clients)
}

/// How many messages of a burst go to an account with a watcher.
fn watched(clients: &Clients, seed: u32, accounts: u32) -> u64 {
    let burst = RandomAccounts::new(seed, accounts).take(BURST as usize);
    burst
        .filter(|account| u64::from(*account) < clients.watchers())
        .count() as u64
}

/// Sends `messages` at `rate` a second to the accounts 0 to `accounts` − 1 in turn. Each has one watcher.
///
/// A message is timed from the moment when it was due, so that a server that delays later messages is still
/// measured at the full rate.
pub(crate) fn at_rate(
    clients: &mut Clients,
    source: &mut impl Source,
    messages: u32,
    rate: u32,
    accounts: u32,
) -> Result<Measured, BenchError> {
    let mut measurement = Measurement::start(clients, messages.into());
    let mut due_at: Vec<VecDeque<Instant>> = vec![VecDeque::new(); accounts as usize];
    let started = Instant::now();
    let mut sent = 0;
    while !measurement.is_done(clients)? {
        let due = started + Duration::from_secs(1) * sent / rate;
        if sent < messages && Instant::now() >= due && source.can_send(clients) {
            due_at[(sent % accounts) as usize].push_back(due);
            source.send(clients, sent % accounts)?;
            sent += 1;
        }
        clients.poll(Duration::ZERO, &mut |watcher, entries| {
            for _ in 0..entries {
                measurement.arrived(due_at[watcher].pop_front().map(|due| due.elapsed()));
            }
        })?;
    }
    measurement.end(clients)
}

/// Sends `events` (rounded up to whole bursts) to random accounts, numbered 0 to `accounts` − 1, that have no
/// watchers. `delivered` counts the events that were answered.
pub(crate) fn ingest(
    clients: &mut Clients,
    source: &mut impl Source,
    events: u32,
    accounts: u32,
) -> Result<Measured, BenchError> {
    let bursts = events.div_ceil(BURST);
    let started = Instant::now();
    let before = clients.counts().answers;
    let mut silence = SilenceTimeout::default();
    let mut sent = 0;
    loop {
        let answered = clients.counts().answers - before;
        if answered == u64::from(bursts) {
            break;
        }
        silence.check(answered, || u64::from(bursts) - answered)?;
        if sent < bursts && source.can_send(clients) {
            source.send_random(clients, sent, BURST, accounts)?;
            sent += 1;
        }
        clients.poll(Duration::ZERO, &mut |_, _| {})?;
    }
    Ok(Measured {
        elapsed: started.elapsed(),
        delivered: u64::from(bursts) * u64::from(BURST),
        messages: 0,
        payload_bytes: 0.0,
        latencies: Latencies::default(),
    })
}

/// A measurement in progress.
struct Measurement {
    started: Instant,
    before: Counts,
    due: u64,
    silence: SilenceTimeout,
    latencies: Latencies,
    /// A message arrived that was not due.
    is_surplus: bool,
}

impl Measurement {
    fn start(clients: &Clients, due: u64) -> Self {
        Self {
            started: Instant::now(),
            before: clients.counts(),
            due,
            silence: SilenceTimeout::default(),
            latencies: Latencies::default(),
            is_surplus: false,
        }
    }

    fn delivered(&self, clients: &Clients) -> u64 {
        clients.counts().entries - self.before.entries
    }

    fn is_done(&mut self, clients: &Clients) -> Result<bool, BenchError> {
        let delivered = self.delivered(clients);
        let Some(missing) = self.due.checked_sub(delivered).filter(|_| !self.is_surplus) else {
            return Err(BenchError::Surplus);
        };
        self.silence.check(delivered, || missing)?;
        Ok(missing == 0)
    }

    fn arrived(&mut self, after: Option<Duration>) {
        match after {
            Some(after) => self.latencies.add(after),
            None => self.is_surplus = true,
        }
    }

    /// Reads for another [`SETTLE`], so that a duplicate is seen, and sums up.
    fn end(self, clients: &mut Clients) -> Result<Measured, BenchError> {
        let elapsed = self.started.elapsed();
        while let Some(left) = (elapsed + SETTLE).checked_sub(self.started.elapsed()) {
            clients.poll(left, &mut |_, _| {})?;
        }
        let delivered = self.delivered(clients);
        if delivered != self.due {
            return Err(BenchError::Surplus);
        }
        let after = clients.counts();
        let messages = after.messages - self.before.messages;
        Ok(Measured {
            elapsed,
            delivered,
            messages,
            payload_bytes: (after.bytes - self.before.bytes) as f64 / messages as f64,
            latencies: self.latencies,
        })
    }
}
