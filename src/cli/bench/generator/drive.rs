//! Asks a source for messages as fast as its window allows, or at a rate, and measures their way.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{
    Fault, Fleet, Targets,
    fleet::{Counts, Patience},
    latencies::Latencies,
};

/// Messages to random accounts are asked for by so many: one request, or one line to a peer.
pub(crate) const BURST: u32 = 100;

/// So many of them may be on their way.
pub(crate) const UNICAST_WINDOW: u64 = 400;

/// How long a measurement listens on once all is there: a message that came twice would come now.
const SETTLE: Duration = Duration::from_millis(50);

/// Makes the messages that a fleet's watchers get. Accounts are numbered.
pub(crate) trait Source {
    /// Whether it can be asked now.
    fn has_room(&self, fleet: &Fleet) -> bool;

    /// One message to each watcher of an account.
    fn push(&mut self, fleet: &mut Fleet, index: u32) -> Result<(), Fault>;

    /// `count` messages, each to one of the accounts 0 to `of` − 1 by [`Targets`](super::Targets).
    fn unicast(&mut self, fleet: &mut Fleet, seed: u32, count: u32, of: u32) -> Result<(), Fault>;
}

/// What was measured.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) elapsed: Duration,
    /// Entries that arrived, each at one watcher.
    pub(crate) delivered: u64,
    /// The messages that they came in.
    pub(crate) messages: u64,
    /// Of one message: of its WebSocket frame's payload, or of its event's data.
    pub(crate) payload_bytes: f64,
    /// From asking until it has arrived (at the last watcher).
    pub(crate) latencies: Latencies,
}

/// `messages` to account 0, which all watch, at most `window` of them on their way.
pub(crate) fn broadcast(
    fleet: &mut Fleet,
    source: &mut impl Source,
    messages: u32,
    window: u64,
) -> Result<Measured, Fault> {
    let mut run = Run::start(fleet, u64::from(messages) * fleet.watchers());
    let mut asked_at = VecDeque::new();
    let (mut asked, mut arrived) = (0, 0);
    while !run.is_done(fleet)? {
        let room = asked - arrived < window && source.has_room(fleet);
        if room && asked < u64::from(messages) {
            asked_at.push_back(Instant::now());
            source.push(fleet, 0)?;
            asked += 1;
        }
        fleet.turn(Duration::ZERO, &mut |_, _| {})?;
        while arrived < run.delivered(fleet) / fleet.watchers() {
            arrived += 1;
            let asked_at: Option<Instant> = asked_at.pop_front();
            run.arrived(asked_at.map(|at| at.elapsed()));
        }
    }
    run.end(fleet)
}

/// `messages` (rounded up to whole bursts) to random accounts of `of`. The first of them have one watcher
/// each; what the others get is not `delivered`.
pub(crate) fn unicast(
    fleet: &mut Fleet,
    source: &mut impl Source,
    messages: u32,
    of: u32,
) -> Result<Measured, Fault> {
    let bursts = messages.div_ceil(BURST);
    let mut run = Run::start(fleet, 0);
    let mut asked = 0;
    while !run.is_done(fleet)? || asked < bursts || fleet.has_busy_poster() {
        let due = run.due + watched(fleet, asked, of);
        let room = due <= run.delivered(fleet) + UNICAST_WINDOW && source.has_room(fleet);
        if room && asked < bursts {
            source.unicast(fleet, asked, BURST, of)?;
            run.due = due;
            asked += 1;
        }
        fleet.turn(Duration::ZERO, &mut |_, _| {})?;
    }
    run.end(fleet)
}

/// How many messages of a burst somebody watches.
fn watched(fleet: &Fleet, seed: u32, of: u32) -> u64 {
    let targets = Targets::new(seed, of).take(BURST as usize);
    targets
        .filter(|index| u64::from(*index) < fleet.watchers())
        .count() as u64
}

/// `messages` at `rate` a second, to the accounts 0 to `of` − 1 in turn, of which each has one watcher.
///
/// A message is timed from the moment at which it was due, so that a server which holds the others up
/// is not asked less often for it.
pub(crate) fn at_rate(
    fleet: &mut Fleet,
    source: &mut impl Source,
    messages: u32,
    rate: u32,
    of: u32,
) -> Result<Measured, Fault> {
    let mut run = Run::start(fleet, messages.into());
    let mut due_at: Vec<VecDeque<Instant>> = vec![VecDeque::new(); of as usize];
    let started = Instant::now();
    let mut asked = 0;
    while !run.is_done(fleet)? {
        let due = started + Duration::from_secs(1) * asked / rate;
        if asked < messages && Instant::now() >= due && source.has_room(fleet) {
            due_at[(asked % of) as usize].push_back(due);
            source.push(fleet, asked % of)?;
            asked += 1;
        }
        fleet.turn(Duration::ZERO, &mut |watcher, entries| {
            for _ in 0..entries {
                run.arrived(due_at[watcher].pop_front().map(|due| due.elapsed()));
            }
        })?;
    }
    run.end(fleet)
}

/// `events` (rounded up to whole bursts) to random accounts of `of`, which nobody watches: `delivered`
/// are those that were answered.
pub(crate) fn ingest(
    fleet: &mut Fleet,
    source: &mut impl Source,
    events: u32,
    of: u32,
) -> Result<Measured, Fault> {
    let bursts = events.div_ceil(BURST);
    let started = Instant::now();
    let before = fleet.counts().answers;
    let mut patience = Patience::default();
    let mut asked = 0;
    loop {
        let answered = fleet.counts().answers - before;
        if answered == u64::from(bursts) {
            break;
        }
        patience.check(answered, || u64::from(bursts) - answered)?;
        if asked < bursts && source.has_room(fleet) {
            source.unicast(fleet, asked, BURST, of)?;
            asked += 1;
        }
        fleet.turn(Duration::ZERO, &mut |_, _| {})?;
    }
    Ok(Measured {
        elapsed: started.elapsed(),
        delivered: u64::from(bursts) * u64::from(BURST),
        messages: 0,
        payload_bytes: 0.0,
        latencies: Latencies::default(),
    })
}

/// A measurement under way.
struct Run {
    started: Instant,
    before: Counts,
    due: u64,
    patience: Patience,
    latencies: Latencies,
    /// A message came that nothing was waiting for.
    is_surplus: bool,
}

impl Run {
    fn start(fleet: &Fleet, due: u64) -> Self {
        Self {
            started: Instant::now(),
            before: fleet.counts(),
            due,
            patience: Patience::default(),
            latencies: Latencies::default(),
            is_surplus: false,
        }
    }

    fn delivered(&self, fleet: &Fleet) -> u64 {
        fleet.counts().entries - self.before.entries
    }

    fn is_done(&mut self, fleet: &Fleet) -> Result<bool, Fault> {
        let delivered = self.delivered(fleet);
        let Some(missing) = self.due.checked_sub(delivered).filter(|_| !self.is_surplus) else {
            return Err(Fault::Surplus);
        };
        self.patience.check(delivered, || missing)?;
        Ok(missing == 0)
    }

    fn arrived(&mut self, after: Option<Duration>) {
        match after {
            Some(after) => self.latencies.add(after),
            None => self.is_surplus = true,
        }
    }

    /// Waits a moment for what should not come, and sums up.
    fn end(self, fleet: &mut Fleet) -> Result<Measured, Fault> {
        let elapsed = self.started.elapsed();
        while let Some(left) = (elapsed + SETTLE).checked_sub(self.started.elapsed()) {
            fleet.turn(left, &mut |_, _| {})?;
        }
        let delivered = self.delivered(fleet);
        if delivered != self.due {
            return Err(Fault::Surplus);
        }
        let after = fleet.counts();
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
