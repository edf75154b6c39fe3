use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep};

/// A wait for a client that takes nothing. It starts anew with every byte that the client takes, whoever
/// wrote it.
pub(super) struct Stall {
    limit: Duration,
    taken: u64,
    sleep: Pin<Box<Sleep>>,
}

impl Stall {
    /// `taken`: the bytes that the client has taken so far.
    pub(super) fn new(limit: Duration, taken: u64) -> Self {
        Self {
            limit,
            taken,
            sleep: Box::pin(sleep(limit)),
        }
    }

    /// Ready once the client has taken nothing for the limit.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, taken: u64) -> Poll<()> {
        if taken != self.taken {
            self.taken = taken;
            self.sleep.as_mut().reset(Instant::now() + self.limit);
        }
        self.sleep.as_mut().poll(cx)
    }
}
