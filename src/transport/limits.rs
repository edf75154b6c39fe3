//! The bounds that several transports share, each with its reason.

use std::time::Duration;

use crate::limit_report::LimitReport;

/// The largest message a client may send, in bytes: over WebSocket, as one frame or in fragments,
/// and as the body of one polling request. Requests to the feed are a few hundred bytes; this
/// leaves room for requests to a host's own namespaces.
pub(super) const MESSAGE_BYTES_MAX: usize = 100_000;

/// The most bytes of one read from a WebSocket. Small, because each idle connection keeps a buffer of this size, and
/// because it bounds the requests in one read.
pub(super) const READ_BYTES: usize = 512;

/// The most fragments of one message. No client needs more, and a million empty ones would only cost time.
pub(super) const FRAGMENTS_MAX: u32 = 128;

/// The most small frames of one client in a second: WebSocket pings, pongs and frames without a payload, and with
/// Socket.IO also heartbeats, CONNECTs and DISCONNECTs. They cost a client next to nothing, and the server a
/// microsecond or more each. A client needs a few in a minute; the rest is for what has piled up while one side was
/// stopped or offline.
pub(super) const SMALL_FRAMES_MAX: u32 = 100;

/// Reports who exceeded [`SMALL_FRAMES_MAX`].
pub(super) static SMALL_FRAMES: LimitReport = LimitReport::new(
    "small_frames",
    "a client sends more pings, heartbeats or empty frames in a second than any app needs; this limit is fixed",
);

/// How long a WebSocket upgrade may take: the switch of protocols, and each step of the probe.
pub(super) const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client has to answer a close frame before its connection is cut.
pub(super) const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// How many bytes are read and discarded after a close frame, so that the client can read that frame before the
/// kernel resets the connection.
pub(super) const LINGER_BYTES_MAX: usize = 1024 * 1024;

/// How long a last `closing` message may take to be written before its connection closes anyway.
pub(super) const CLOSING_TIMEOUT: Duration = Duration::from_secs(1);

/// A grant that ends later than this gets no timer: no connection lasts that long.
pub(super) const EXPIRY_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// How long before the end of a grant its client is notified, unless the grant is shorter than twice this.
pub(super) const EXPIRY_NOTICE: Duration = Duration::from_secs(60);

/// The timing that a host may configure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// From one ping to the next.
    pub(crate) ping_interval: Duration,
    /// From a ping until a client that has sent nothing counts as gone.
    pub(crate) ping_timeout: Duration,
    /// From opening a session until it must have joined a namespace.
    pub(crate) connect_timeout: Duration,
    /// How long a write may make no progress before its client counts as gone.
    pub(crate) write_stall: Duration,
}

impl Default for Timing {
    /// A client that stops reading is disconnected within 30 s, even if there is nothing to write: ping interval plus
    /// ping timeout stay below that, and so does the write stall.
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(12),
            ping_timeout: Duration::from_secs(15),
            connect_timeout: Duration::from_secs(10),
            write_stall: Duration::from_secs(15),
        }
    }
}
