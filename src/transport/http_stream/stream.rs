use std::time::Duration;

use bytes::Bytes;

use super::format::StreamFormat;
use crate::{
    feed::Sink,
    transport::follow::{CloseReason, FollowEvent, Follower},
};

/// The longest silence: less than the 30 seconds after which some proxies close a connection.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A follower whose events are encoded in a format.
pub(super) struct FormattedStream<F> {
    follower: Follower,
    format: F,
    /// Whether the closing message was returned: nothing follows it.
    has_ended: bool,
}

impl<F: StreamFormat> FormattedStream<F> {
    pub(super) fn new(follower: Follower, format: F) -> Self {
        Self {
            follower,
            format,
            has_ended: false,
        }
    }

    /// Allows direct delivery to `sink`.
    pub(super) fn delivering_to(mut self, sink: impl Sink) -> Self {
        self.follower = self.follower.delivering_to(sink);
        self
    }

    pub(super) fn prelude(&self) -> Bytes {
        self.format.prelude()
    }

    pub(super) fn keep_alive(&self) -> Bytes {
        self.format.keep_alive()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// The next event; waits for it. Cancel-safe.
    pub(super) async fn next_event(&mut self) -> FollowEvent {
        self.follower.next().await
    }

    /// Resolves when a write that the client does not take must be given up. Cancel-safe.
    pub(super) fn write_must_end(&self) -> impl Future<Output = ()> {
        self.follower.write_must_end()
    }

    /// Encodes the event and marks it as delivered.
    pub(super) fn encode(&mut self, event: FollowEvent) -> Bytes {
        match event {
            FollowEvent::Message(message) => {
                let text = self.format.encode(&message);
                self.follower.applied(&message);
                text
            }
            // Clients cannot send a new token here: they reconnect.
            FollowEvent::Expiring(_) => self.format.keep_alive(),
            FollowEvent::Close(reason) => {
                self.has_ended = true;
                count_closed(reason);
                let closing = reason.message_at(self.follower.position().as_ref());
                self.format.message("closing", &closing, None)
            }
        }
    }
}

pub(super) fn count_closed(reason: CloseReason) {
    metrics::counter!("tallycast_streams_closed_total", "code" => reason.code()).increment(1);
}
