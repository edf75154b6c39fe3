use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::activity::Activity;
use super::limits::Limits;
use crate::deadline::Deadline;

/// A request body that must make progress. It fails when it stalls or is too slow; hyper then closes the connection,
/// because the rest of the body is unread.
pub(super) struct TimeoutBody {
    incoming: Incoming,
    stall_timeout: Duration,
    rate_min: u32,
    bytes: u64,
    /// When it was first polled, so that a slow handler does not use up the client's time.
    begun_at: Option<Instant>,
    /// When the wait for the next bytes began.
    moved_at: Option<Instant>,
    deadline: Deadline,
}

impl TimeoutBody {
    pub(super) fn new(incoming: Incoming, limits: &Limits) -> Self {
        Self {
            incoming,
            stall_timeout: limits.body_timeout,
            rate_min: limits.body_rate_min,
            bytes: 0,
            begun_at: None,
            moved_at: None,
            deadline: Deadline::default(),
        }
    }

    /// When the wait for the next bytes ends: after no progress for too long, or when the body is too slow overall.
    fn deadline_at(&mut self) -> Instant {
        let now = Instant::now();
        let begun_at = *self.begun_at.get_or_insert(now);
        let stalls_at = *self.moved_at.get_or_insert(now) + self.stall_timeout;
        if self.rate_min == 0 {
            return stalls_at;
        }
        let earned = Duration::from_secs(self.bytes / u64::from(self.rate_min));
        stalls_at.min(begun_at + self.stall_timeout + earned)
    }
}

impl Body for TimeoutBody {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.incoming).poll_frame(cx) {
            if let Some(Ok(frame)) = &frame {
                this.bytes += frame.data_ref().map_or(0, |data| data.remaining() as u64);
            }
            this.moved_at = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let at = this.deadline_at();
        if !this.deadline.is_over_at(at, cx) {
            return Poll::Pending;
        }
        let error = io::Error::new(io::ErrorKind::TimedOut, "the request body came too slowly");
        Poll::Ready(Some(Err(error.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// A response body. Dropping it ends the request.
pub(super) struct ResponseBody {
    /// `None` if a takeover writes it after the head.
    body: Option<axum::body::Body>,
    activity: Arc<Activity>,
}

impl ResponseBody {
    pub(super) fn new(body: axum::body::Body, activity: Arc<Activity>) -> Self {
        let body = Some(body);
        Self { body, activity }
    }

    pub(super) fn taken_over(activity: Arc<Activity>) -> Self {
        let body = None;
        Self { body, activity }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        self.activity.was_answered();
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Self { body, activity } = self.get_mut();
        match body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => {
                activity.head_was_encoded();
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_some_and(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let hint = self.body.as_ref().map(Body::size_hint);
        hint.unwrap_or_default()
    }
}
