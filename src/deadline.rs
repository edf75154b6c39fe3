//! Deadlines of clients. A deadline that has passed takes a last look before it is over.
//!
//! While the process is stopped, as when its machine is moved, what clients send waits in the kernel. Afterwards all
//! deadlines have passed at once, and a timer may be handled before the bytes that have come in time. So a client
//! counts as gone or too slow only if nothing has come a moment later.

use std::{
    future::Future,
    mem,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, error::Elapsed};

/// How long the last look takes. Until then, the runtime has reported every socket that has unread bytes or room.
pub(crate) const LAST_LOOK: Duration = Duration::from_millis(100);

/// Like [`tokio::time::timeout`], with a last look. Cancel-safe if `future` is.
///
/// # Errors
/// If the future is not ready in time.
pub(crate) async fn timeout<F: Future>(limit: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    match tokio::time::timeout(limit, &mut future).await {
        Ok(output) => Ok(output),
        Err(_) => tokio::time::timeout(LAST_LOOK, future).await,
    }
}

/// A timer that is allocated only once something has to wait.
#[derive(Default)]
pub(crate) struct Deadline {
    sleep: Option<Pin<Box<Sleep>>>,
    armed: bool,
    /// Whether its time has passed, and it takes a last look.
    is_last_look: bool,
}

impl Deadline {
    /// Whether `at` has passed. If not, it wakes the task then.
    pub(crate) fn is_over_at(&mut self, at: Instant, cx: &mut Context<'_>) -> bool {
        let is_set = |sleep: &Sleep| match self.is_last_look {
            // A time to come is another one.
            true => at <= Instant::now(),
            false => sleep.deadline() == at,
        };
        match &mut self.sleep {
            Some(sleep) if self.armed && is_set(sleep) => {}
            Some(sleep) => {
                sleep.as_mut().reset(at);
                self.is_last_look = false;
            }
            None => self.sleep = Some(Box::pin(tokio::time::sleep_until(at))),
        }
        self.armed = true;
        self.poll(cx)
    }

    /// Whether `wait` has passed since the first call after [`disarm`](Self::disarm). If not, it wakes the task then.
    pub(crate) fn is_over_after(&mut self, wait: Duration, cx: &mut Context<'_>) -> bool {
        if self.armed {
            return self.poll(cx);
        }
        self.is_over_at(Instant::now() + wait, cx)
    }

    /// Stops the timer, since what was waited for has happened. It stays allocated for the next wait.
    pub(crate) fn disarm(&mut self) {
        self.armed = false;
        self.is_last_look = false;
    }

    /// Frees the timer, since it is not needed again.
    pub(crate) fn free(&mut self) {
        *self = Self::default();
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let sleep = self.sleep.as_mut().expect("armed means allocated");
        if sleep.as_mut().poll(cx) == Poll::Pending {
            return false;
        }
        if mem::replace(&mut self.is_last_look, true) {
            return true;
        }
        sleep.as_mut().reset(Instant::now() + LAST_LOOK);
        sleep.as_mut().poll(cx) == Poll::Ready(())
    }
}
