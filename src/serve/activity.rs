use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::Context;
use std::time::Instant;

use futures_util::task::AtomicWaker;

/// What a connection is doing. Its service sets it. Its stream reads it, to choose the timeout that applies.
#[derive(Debug)]
pub(super) struct Activity {
    phase: AtomicU8,
    /// When the wait for a request began: microseconds since the process first asked.
    waits_since: AtomicU64,
    /// Whether the connection must close instead of waiting for another request.
    gives_way: AtomicBool,
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

impl Default for Activity {
    /// A new connection, which waits for its first request.
    fn default() -> Self {
        Self {
            phase: AtomicU8::new(AWAITS_HEAD),
            waits_since: AtomicU64::new(micros_now()),
            gives_way: AtomicBool::new(false),
            answers: AtomicU64::new(0),
            reader: AtomicWaker::new(),
            is_head_encoded: AtomicBool::new(false),
            is_head_out: AtomicBool::new(false),
        }
    }
}

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
        self.waits_since.store(micros_now(), Ordering::Relaxed);
        self.answers.fetch_add(1, Ordering::AcqRel);
        // A 101 counts as answered too, but must not start a wait for a head.
        let (old, new) = (ANSWERS, AWAITS_HEAD);
        let order = (Ordering::AcqRel, Ordering::Acquire);
        let _ = self.phase.compare_exchange(old, new, order.0, order.1);
        self.reader.wake();
    }

    /// Since when the connection waits for a request; `None` if it does not, or is about to close.
    pub(super) fn idle_since(&self) -> Option<u64> {
        let waits = self.phase.load(Ordering::Acquire) == AWAITS_HEAD && !self.gives_way();
        waits.then(|| self.waits_since.load(Ordering::Relaxed))
    }

    /// Closes the connection, now or after the request that has just come, to make room for another.
    pub(super) fn give_way(&self) {
        self.gives_way.store(true, Ordering::Release);
        self.reader.wake();
    }

    pub(super) fn gives_way(&self) -> bool {
        self.gives_way.load(Ordering::Acquire)
    }

    /// Stores the waker of a waiting read.
    ///
    /// While a handler runs, the read has no deadline: hyper polls for a disconnect then, and does not poll again for
    /// the next head. Waking it sets the deadline. While it waits for a head, [`give_way`](Self::give_way) wakes it.
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

/// Microseconds since the first call.
fn micros_now() -> u64 {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let micros = FIRST.get_or_init(Instant::now).elapsed().as_micros();
    u64::try_from(micros).expect("no process runs for 500,000 years")
}
