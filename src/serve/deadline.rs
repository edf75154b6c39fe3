use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// A timer that is allocated only once something has to wait.
#[derive(Default)]
pub(super) struct Deadline {
    sleep: Option<Pin<Box<Sleep>>>,
    armed: bool,
}

impl Deadline {
    /// Whether `at` has passed. If not, it wakes the task then.
    pub(super) fn is_over_at(&mut self, at: Instant, cx: &mut Context<'_>) -> bool {
        match &mut self.sleep {
            Some(sleep) if self.armed && sleep.deadline() == at => {}
            Some(sleep) => sleep.as_mut().reset(at),
            None => self.sleep = Some(Box::pin(tokio::time::sleep_until(at))),
        }
        self.armed = true;
        self.poll(cx)
    }

    /// Whether `wait` has passed since the first call after [`disarm`](Self::disarm). If not, it wakes the task then.
    pub(super) fn is_over_after(&mut self, wait: Duration, cx: &mut Context<'_>) -> bool {
        if self.armed {
            return self.poll(cx);
        }
        self.is_over_at(Instant::now() + wait, cx)
    }

    /// Stops the timer, since what was waited for has happened. It stays allocated for the next wait.
    pub(super) fn disarm(&mut self) {
        self.armed = false;
    }

    /// Frees the timer, since it is not needed again.
    pub(super) fn free(&mut self) {
        *self = Self::default();
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        let sleep = self.sleep.as_mut().expect("armed means allocated");
        sleep.as_mut().poll(cx) == Poll::Ready(())
    }
}
