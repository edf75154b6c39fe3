use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{
    Mode,
    batch::Batch,
    heads::{Head, Mark},
};
use crate::domain::Position;

/// Where a live subscription's updates can be written at once, without waking its task.
pub(crate) trait Sink: Send + Sync + 'static {
    /// Whether it would take something just now.
    fn is_open(&self) -> bool;

    /// Takes these messages, in order, or none of them: whether they are on their way. It does not block. What
    /// it does not take the task takes care of.
    fn offer(&self, batch: &Batch) -> bool;
}

/// A live subscription that lacks nothing, carried along by the account's head while its task sleeps.
///
/// Either the task owns the position, or the rider does and moves it under its lock: whoever asks the
/// rider to get off has the position to itself when that returns.
pub(crate) struct Rider<S: ?Sized = dyn Sink> {
    seat: Mutex<Seat>,
    mode: Mode,
    got_off: Notify,
    sink: S,
}

#[derive(Debug, Default)]
struct Seat {
    rides: bool,
    position: Option<Position>,
    erasures: u32,
}

impl<S: Sink> Rider<S> {
    pub(super) fn new(sink: S, mode: Mode) -> Self {
        Self {
            seat: Mutex::default(),
            mode,
            got_off: Notify::new(),
            sink,
        }
    }
}

impl Rider {
    /// How far the client is.
    pub(crate) fn position(&self) -> Option<Position> {
        self.seat().position
    }

    /// Stops riding: once this returns, nothing is written but by the subscription's task.
    pub(crate) fn get_off(&self) {
        self.seat().rides = false;
    }

    /// The client has taken this from the task.
    pub(super) fn applied(&self, position: Position) {
        self.seat().position = Some(position);
    }

    /// Rides from here until the guard is dropped, if the sink takes anything.
    pub(super) fn get_on(&self, position: Position, erasures: u32) -> Option<Ride<'_>> {
        if !self.sink.is_open() {
            return None;
        }
        *self.seat() = Seat {
            rides: true,
            position: Some(position),
            erasures,
        };
        Some(Ride(self))
    }

    /// Takes the rider as far as the head is; where that cannot be, its task is woken to go on from where
    /// it got to.
    pub(super) fn carry(&self, mark: Mark, ahead: &mut Ahead<'_>) {
        let mut seat = self.seat();
        if !seat.rides {
            return;
        }
        if mark.erasures != seat.erasures || !self.carry_from(&mut seat, mark, ahead) {
            seat.rides = false;
            self.got_off.notify_one();
        }
    }

    /// Nobody will carry it: its task is woken.
    pub(super) fn put_off(&self) {
        if std::mem::take(&mut self.seat().rides) {
            self.got_off.notify_one();
        }
    }

    /// Whether it has all that the head has.
    fn carry_from(&self, seat: &mut Seat, mark: Mark, ahead: &mut Ahead<'_>) -> bool {
        let Some(position) = &mut seat.position else {
            return false;
        };
        while mark.is_ahead_of(position) {
            let Some(batch) = ahead.of(*position) else {
                return false;
            };
            // Who wants the newest totals alone is served by the task, which merges.
            let is_merged = self.mode == Mode::Totals && batch.messages.len() > 1;
            if is_merged || !self.sink.offer(batch) {
                return false;
            }
            *position = batch.end;
        }
        true
    }

    fn seat(&self) -> MutexGuard<'_, Seat> {
        // A sink that panics has not moved it.
        self.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A rider on its way.
pub(super) struct Ride<'a>(&'a Rider);

impl Ride<'_> {
    /// Resolves when the task has to go on. Cancel-safe.
    pub(super) async fn ended(&self) {
        self.0.got_off.notified().await;
    }
}

impl Drop for Ride<'_> {
    fn drop(&mut self) {
        self.0.get_off();
    }
}

/// What the tail has behind a position. Most riders of an account are at the same one, so that the last
/// answer is kept.
pub(super) struct Ahead<'a> {
    head: &'a Head,
    from: Option<Position>,
    batch: Option<Batch>,
}

impl<'a> Ahead<'a> {
    pub(super) fn new(head: &'a Head) -> Self {
        Self {
            head,
            from: None,
            batch: None,
        }
    }

    fn of(&mut self, position: Position) -> Option<&Batch> {
        if self.from != Some(position) {
            self.from = Some(position);
            self.batch = Batch::new(self.head.updates_after(&position));
        }
        self.batch.as_ref()
    }
}
