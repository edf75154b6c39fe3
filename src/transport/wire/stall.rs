use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep};

/// Limits how long a write may make no progress. A client that exceeds the limit has stalled.
///
/// Progress is any byte that the client's side of the connection takes, no matter which write it belongs to.
/// A write that is not ready starts the wait; a write that completes ends it.
pub(crate) struct WriteStall {
    limit: Duration,
    wait: Option<Wait>,
}

struct Wait {
    /// The bytes taken when the wait last started.
    taken: u64,
    sleep: Pin<Box<Sleep>>,
}

impl WriteStall {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, wait: None }
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
            self.wait = None;
            return result;
        }
        let wait = self.wait.get_or_insert_with(|| Wait {
            taken,
            sleep: Box::pin(sleep(self.limit)),
        });
        if taken != wait.taken {
            wait.taken = taken;
            wait.sleep.as_mut().reset(Instant::now() + self.limit);
        }
        ready!(wait.sleep.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}
