//! Every bound of the Socket.IO transport, in one place, each with its reason.

use std::time::Duration;

/// The largest message a client may send, in bytes: over WebSocket, as one frame or in fragments,
/// and as the body of one polling request. Requests to the feed are a few hundred bytes; this
/// leaves room for a host's own namespaces.
pub(super) const MESSAGE_BYTES_MAX: usize = 100_000;

/// The largest polling body that the engine puts together: more than all packets that can wait. What
/// does not fit it keeps for the next poll, and forgets when the session moves to a WebSocket.
pub(super) const POLLING_BODY_BYTES_MAX: u64 = 1 << 30;

/// Packets that may wait for a connection's writer. The engine drops what does not fit, and
/// closes a session whose ping does not fit, so this leaves room beside [`POLLING_PACKETS_MAX`].
pub(super) const CHANNEL_PACKETS: usize = 64;

/// Bytes handed to a WebSocket and not yet taken by the kernel, before its feed waits. A slow
/// client costs this much plus one message, and a position.
pub(super) const UNWRITTEN_BYTES_MAX: usize = 64 * 1024;

/// Feed packets that may wait for a polling client's next request, before its feed waits.
pub(super) const POLLING_PACKETS_MAX: usize = 16;

/// What one read takes from a WebSocket at most. Small, because each idle connection keeps a
/// buffer of this size, and because it bounds the requests that one read can bring.
pub(super) const READ_BYTES: usize = 512;

/// Requests of one socket that may wait to be answered before reading from it pauses.
pub(super) const REQUESTS_PAUSE: usize = 64;

/// Waiting requests at which reading from the connection starts again.
pub(super) const REQUESTS_RESUME: usize = 16;

/// The shortest event frame a client can send (`42/feed,["a"]`, masked): it bounds how many
/// requests one read brings after the pause was decided.
const REQUEST_FRAME_BYTES_MIN: usize = 19;

/// The mailbox of a socket: what makes it pause, and what one more read can bring.
pub(super) const REQUESTS_MAX: usize = REQUESTS_PAUSE + 2 * READ_BYTES / REQUEST_FRAME_BYTES_MIN;

/// Packets of one polling body that are handed to the engine at once.
pub(super) const POLLING_BATCH: usize = 32;

/// A request to the feed that is longer is refused unread: its largest part is a token.
pub(super) const REQUEST_BYTES_MAX: usize = 16 * 1024;

/// The longest token that is looked at, in bytes. Common servers cap a whole header there.
pub(super) const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// Fragments of one message: nobody needs more, and a million empty ones only cost time.
pub(super) const FRAGMENTS_MAX: u32 = 128;

/// Feeds that one socket may follow at once.
pub(super) const SUBSCRIPTIONS_MAX: usize = 16;

/// Refused CONNECTs after which a session is closed: an app asks for a new token long before.
pub(super) const REFUSALS_MAX: u32 = 16;

/// How long a body of a polling request may take to arrive.
pub(super) const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a WebSocket upgrade may take: the switch of protocols, and each step of the probe.
pub(super) const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);

/// While a client probes a WebSocket its waiting poll is let go after this long, so that it can
/// finish the upgrade.
pub(super) const POLL_RELEASE: Duration = Duration::from_millis(100);

/// How long a client has to answer a close frame before its connection is cut.
pub(super) const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// What is read and thrown away after a close frame, so that the client can read that frame
/// before the kernel resets the connection.
pub(super) const LINGER_BYTES_MAX: usize = 1024 * 1024;

/// How long a last `closing` message may take to be written before its connection closes anyway.
pub(super) const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);

/// How long finding out who a token belongs to may take.
pub(super) const AUTHORIZE_TIMEOUT: Duration = Duration::from_secs(10);

/// A grant that ends later than this is not timed: the connection will not last.
pub(super) const EXPIRY_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// How long before a grant ends its socket is told, unless the grant is shorter than twice this.
pub(super) const EXPIRY_NOTICE: Duration = Duration::from_secs(60);

/// The timing that a host may choose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// From one ping to the next.
    pub(crate) ping_interval: Duration,
    /// From a ping until a silent client is given up.
    pub(crate) ping_timeout: Duration,
    /// From opening a session until it must have joined a namespace.
    pub(crate) connect_timeout: Duration,
    /// How long a write may make no progress before its client counts as gone.
    pub(crate) write_stall: Duration,
}

impl Default for Timing {
    /// A client that stops reading is gone within 30 s, also when there is nothing to write:
    /// ping interval plus ping timeout stay below that, and so does the write stall.
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(12),
            ping_timeout: Duration::from_secs(15),
            connect_timeout: Duration::from_secs(10),
            write_stall: Duration::from_secs(15),
        }
    }
}
