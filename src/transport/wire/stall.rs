use std::{
    io,
    task::{Context, Poll},
    time::Duration,
};

use crate::deadline::Deadline;

/// The limit on a write that makes no progress: it decides that a client has stalled, for every connection that HTTP
/// has released. For HTTP, and first of all under TLS, `serve/timeouts.rs` decides.
///
/// Progress is any byte that the client's side of the connection takes, no matter which write it belongs to.
/// A write that is not ready starts the wait; a write that completes ends it.
pub(crate) struct WriteStall {
    limit: Duration,
    /// The bytes taken when the wait last started.
    taken: u64,
    deadline: Deadline,
}

impl WriteStall {
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            limit,
            taken: 0,
            deadline: Deadline::default(),
        }
    }

    /// Passes on the result of a write; `taken` is the number of bytes that the connection has taken so far.
    ///
    /// # Errors
    /// [`TimedOut`](io::ErrorKind::TimedOut) when a pending write has made no progress for the limit.
    pub(crate) fn check<T>(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<T>>,
        taken: u64,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.deadline.free();
            return result;
        }
        if taken != self.taken {
            self.taken = taken;
            self.deadline.disarm();
        }
        if self.deadline.is_over_after(self.limit, cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}
