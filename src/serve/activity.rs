use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::Context;

use futures_util::task::AtomicWaker;

use super::handover::Handover;

/// What a connection is busy with. Its stream reads it, to know which wait is too long; its service
/// writes it.
#[derive(Debug, Default)]
pub(super) struct Activity {
    phase: AtomicU8,
    /// Requests answered so far: tells one wait for a request from the next.
    answers: AtomicU64,
    reader: AtomicWaker,
    /// Who gets the connection once the head of its last response is out.
    handover: Mutex<Option<Handover>>,
    is_head_made: AtomicBool,
    is_head_out: AtomicBool,
}

/// Where a connection is between two requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The server waits for the head of a request; the number of requests answered before it.
    AwaitsHead(u64),
    /// A handler is at work: it may take its time, as long polling does.
    Answers,
    /// HTTP is over, or will be with the head of the response: who took the connection over sets the rules.
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
        // After an upgrade the 101 is "answered" too, and that must not start a wait for a head.
        let (old, new) = (ANSWERS, AWAITS_HEAD);
        let order = (Ordering::AcqRel, Ordering::Acquire);
        let _ = self.phase.compare_exchange(old, new, order.0, order.1);
        self.reader.wake();
    }

    /// Remembers a read that waits while a handler is at work, and so without a deadline: hyper looks
    /// for a hang-up meanwhile, and does not ask again for the next head. Woken, it has a deadline.
    pub(super) fn reads_meanwhile(&self, cx: &Context<'_>) {
        self.reader.register(cx.waker());
    }

    pub(super) fn was_upgraded(&self) {
        self.phase.store(UPGRADED, Ordering::Release);
    }

    /// HTTP is over with the head of this response.
    pub(super) fn hands_over(&self, to: Handover) {
        *self.handover.lock().unwrap_or_else(PoisonError::into_inner) = Some(to);
        self.was_upgraded();
    }

    /// hyper asks for the body: it has made the head.
    pub(super) fn head_is_made(&self) {
        self.is_head_made.store(true, Ordering::Release);
    }

    /// The stream was flushed, which hyper asks for once it has written all that it has.
    pub(super) fn was_flushed(&self) {
        if self.is_head_made.load(Ordering::Acquire) {
            self.is_head_out.store(true, Ordering::Release);
        }
    }

    /// Who gets the connection, once the head is out.
    pub(super) fn takes_over(&self) -> Option<Handover> {
        if !self.is_head_out.load(Ordering::Acquire) {
            return None;
        }
        let mut handover = self.handover.lock().unwrap_or_else(PoisonError::into_inner);
        handover.take()
    }
}
