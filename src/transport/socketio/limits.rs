//! The bounds of the Socket.IO transport, each with its reason.

use std::time::Duration;

use crate::transport::limits::READ_BYTES;

/// The largest polling body that the engine builds: more than all packets that can wait. It keeps a packet that does
/// not fit for the next poll, and loses it when the session is upgraded to a WebSocket.
pub(super) const POLLING_BODY_BYTES_MAX: u64 = 1 << 30;

/// The most packets that wait for a connection's writer. The engine drops a packet that does not fit, and closes a
/// session whose ping does not fit, so this leaves room beside [`POLLING_PACKETS_MAX`].
pub(super) const CHANNEL_PACKETS: usize = 64;

/// How many bytes may be written to a WebSocket and not yet taken by the kernel before its feed waits. A slow client
/// costs this much plus one message, and a position.
pub(super) const UNWRITTEN_BYTES_MAX: usize = 64 * 1024;

/// How many feed packets may wait for a polling client's next request before its feed waits.
pub(super) const POLLING_PACKETS_MAX: usize = 16;

/// How many requests of one socket may wait before reading from its connection pauses.
pub(super) const REQUESTS_PAUSE: usize = 64;

/// The number of waiting requests at which reading resumes.
pub(super) const REQUESTS_RESUME: usize = 16;

/// The shortest event frame that a client can send (`42/feed,["a"]`, masked), in bytes. It bounds the requests that may
/// still arrive once reading pauses.
const REQUEST_FRAME_BYTES_MIN: usize = 19;

/// The most requests in a socket's queue: those that make reading pause, and those that may still arrive then.
pub(super) const REQUESTS_MAX: usize = REQUESTS_PAUSE + 2 * READ_BYTES / REQUEST_FRAME_BYTES_MIN;

/// How many packets that nobody answers are read from one client in a second: events to `/` and to namespaces of a
/// host, acks, attachments. Reading then pauses for the rest of the second. A page that draws together with others
/// sends 60 events in a second. Requests to the feed are not counted, since they wait for their acks.
pub(super) const UNANSWERED_PACKETS_MAX: u32 = 1_000;

/// The most of these packets in one polling body: those that are read before its client has waited too long.
pub(super) const UNANSWERED_IN_BODY_MAX: u64 =
    UNANSWERED_PACKETS_MAX as u64 * BODY_TIMEOUT.as_secs();

/// How many packets of one polling body are handed to the engine at once.
pub(super) const POLLING_BATCH: usize = 32;

/// The longest request to the feed, in bytes. A longer one is refused unread. The largest part is a token.
pub(super) const REQUEST_BYTES_MAX: usize = 16 * 1024;

/// How many feeds one socket may follow at once.
pub(super) const SUBSCRIPTIONS_MAX: usize = 16;

/// How many refused CONNECTs a session may have: one more closes it. An app fetches a new token long before.
pub(super) const REFUSALS_MAX: u32 = 16;

/// How long the body of a polling request may take to arrive.
pub(super) const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// While a client probes a WebSocket, its waiting poll is answered after this time, so that the client can finish the
/// upgrade.
pub(super) const POLL_RELEASE: Duration = Duration::from_millis(100);

/// The engine's own wait for a pong, which must never end: after a stop of the process the engine would give up clients
/// whose pong waits to be read. So it gets a pong as soon as its ping was sent, and [`session`](super::session) decides
/// which client is gone. A year, because the engine sends this number, before it is replaced.
pub(super) const ENGINE_PING_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 60 * 60);
