use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::Context;

use futures_util::task::AtomicWaker;

/// What a connection is doing. Its service sets it. Its stream reads it, to choose the timeout that applies.
#[derive(Debug, Default)]
pub(super) struct Activity {
    phase: AtomicU8,
    /// The number of answered requests, which distinguishes one wait for a request from the next.
    answers: AtomicU64,
    reader: AtomicWaker,
    is_head_encoded: AtomicBool,
    is_head_out: AtomicBool,
}

/// Where a connection is between two requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The server waits for the head of a request. The number counts the requests answered before.
    AwaitsHead(u64),
    /// A handler is running. It has no timeout here, since a long poll may take about a minute.
    Answers,
    /// HTTP has ended, or ends with the head of the response. The new owner sets the timeouts.
    Upgraded,
}

const AWAITS_HEAD: u8 = 0;
const ANSWERS: u8 = 1;
const UPGRADED: u8 = 2;

impl Activity {
    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            AWAITS_HEAD => Phase::AwaitsHead(self.answers.load(Ordering::Acquire)),
            ANSWERS => Phase::Answers,
            _ => Phase::Upgraded,
        }
    }

    pub(super) fn request_came(&self) {
        self.phase.store(ANSWERS, Ordering::Release);
    }

    pub(super) fn was_answered(&self) {
        self.answers.fetch_add(1, Ordering::AcqRel);
        // A 101 counts as answered too, but must not start a wait for a head.
        let (old, new) = (ANSWERS, AWAITS_HEAD);
        let order = (Ordering::AcqRel, Ordering::Acquire);
        let _ = self.phase.compare_exchange(old, new, order.0, order.1);
        self.reader.wake();
    }

    /// Stores the waker of a read that waits while a handler runs, without a deadline. hyper polls for a disconnect
    /// then, and does not poll again for the next head. Waking it sets the deadline.
    pub(super) fn register_reader(&self, cx: &Context<'_>) {
        self.reader.register(cx.waker());
    }

    pub(super) fn was_upgraded(&self) {
        self.phase.store(UPGRADED, Ordering::Release);
    }

    /// hyper polls the body: it has encoded the head.
    pub(super) fn head_was_encoded(&self) {
        self.is_head_encoded.store(true, Ordering::Release);
    }

    /// The stream was flushed, which hyper does once it has written everything.
    pub(super) fn was_flushed(&self) {
        if self.is_head_encoded.load(Ordering::Acquire) {
            self.is_head_out.store(true, Ordering::Release);
        }
    }

    /// Whether the head of the last response was written.
    pub(super) fn is_head_out(&self) -> bool {
        self.is_head_out.load(Ordering::Acquire)
    }
}
