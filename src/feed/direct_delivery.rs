//! Direct delivery: after a commit, updates are written to a live subscription's connection without
//! waking the subscription's task.
//!
//! ```text
//!             start                    fall back
//!  inactive ───────────► active ──────────────────► fallen back
//!   ▲    ▲                │ ▲ │                         │
//!   │    │                │ └─┘ deliver: writes,        │
//!   │    │                │     moves the position      │
//!   │    └────────────────┘                             │
//!   │      stop, or the guard is dropped                │
//!   └───────────────────────────────────────────────────┘
//!     the task wakes, takes the position and continues
//! ```
//!
//! It starts only if the sink is open. It falls back when the sink refuses a batch, the tail lacks the update, the
//! account was erased, several updates must be merged, or a sink panicked.
//!
//! The position has one owner at a time: the task while the delivery is inactive, the delivery (under its
//! lock) while it is active. Once `stop` returns, only the task writes.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{batch::Batch, options::Mode, tail::Ahead, version::Version};
use crate::domain::Position;

/// Where updates of a live subscription can be written without waking its task.
pub(crate) trait Sink: Send + Sync + 'static {
    /// Whether it would accept a batch now.
    fn is_open(&self) -> bool;

    /// Accepts all messages of the batch, in order, or none. Returns whether it accepted them. Must not block. A
    /// refused batch is sent by the task.
    fn offer(&self, batch: &Batch) -> bool;
}

/// The direct delivery of one live subscription. Used while its client is up to date.
pub(crate) struct DirectDelivery<S: ?Sized = dyn Sink> {
    state: Mutex<DeliveryState>,
    mode: Mode,
    fell_back: Notify,
    sink: S,
}

#[derive(Debug, Default)]
struct DeliveryState {
    is_active: bool,
    position: Option<Position>,
    erasures: u32,
}

impl<S: Sink> DirectDelivery<S> {
    pub(super) fn new(sink: S, mode: Mode) -> Self {
        Self {
            state: Mutex::default(),
            mode,
            fell_back: Notify::new(),
            sink,
        }
    }
}

impl DirectDelivery {
    /// The client's position.
    pub(crate) fn position(&self) -> Option<Position> {
        self.lock().position
    }

    /// Stops direct delivery. Once this returns, only the subscription's task writes.
    pub(crate) fn stop(&self) {
        self.lock().is_active = false;
    }

    /// The task has delivered up to `position`.
    pub(super) fn applied(&self, position: Position) {
        self.lock().position = Some(position);
    }

    /// Starts direct delivery from `position`, until the guard is dropped. `None` if the sink is not open.
    pub(super) fn start(&self, position: Position, erasures: u32) -> Option<DeliveryGuard<'_>> {
        if !self.sink.is_open() {
            return None;
        }
        *self.lock() = DeliveryState {
            is_active: true,
            position: Some(position),
            erasures,
        };
        Some(DeliveryGuard(self))
    }

    /// Writes what the client lacks up to `version`. If that is not possible, it wakes the task, which continues
    /// from the position reached.
    pub(super) fn deliver(&self, version: Version, ahead: &mut Ahead<'_>) {
        let mut state = self.lock();
        if !state.is_active {
            return;
        }
        if version.erasures != state.erasures || !self.deliver_from(&mut state, version, ahead) {
            state.is_active = false;
            self.fell_back.notify_one();
        }
    }

    /// Gives up direct delivery and wakes the task.
    pub(super) fn fall_back(&self) {
        if std::mem::take(&mut self.lock().is_active) {
            self.fell_back.notify_one();
        }
    }

    /// Writes what the client lacks. Returns whether it now has everything up to `version`.
    fn deliver_from(
        &self,
        state: &mut DeliveryState,
        version: Version,
        ahead: &mut Ahead<'_>,
    ) -> bool {
        let Some(position) = &mut state.position else {
            return false;
        };
        while version.is_ahead_of(position) {
            let Some(batch) = ahead.of(*position) else {
                return false;
            };
            // In the mode `totals`, the task merges several updates into one.
            let is_merged = self.mode == Mode::Totals && batch.messages.len() > 1;
            if is_merged || !self.sink.offer(batch) {
                return false;
            }
            *position = batch.end;
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, DeliveryState> {
        // A sink that panicked has not moved the position.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps direct delivery active; dropping it stops the delivery.
pub(super) struct DeliveryGuard<'a>(&'a DirectDelivery);

impl DeliveryGuard<'_> {
    /// Resolves when the task has to continue. Cancel-safe.
    pub(super) async fn fell_back(&self) {
        self.0.fell_back.notified().await;
    }
}

impl Drop for DeliveryGuard<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}
