//! Every bound that only the Socket.IO transport has, in one place, each with its reason.

use std::time::Duration;

pub(super) use crate::transport::limits::{
    AUTHORIZE_TIMEOUT, CLOSE_GRACE, FAREWELL_TIMEOUT, MESSAGE_BYTES_MAX, READ_BYTES,
    TOKEN_BYTES_MAX, Timing, UPGRADE_TIMEOUT,
};

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

/// Feeds that one socket may follow at once.
pub(super) const SUBSCRIPTIONS_MAX: usize = 16;

/// Refused CONNECTs after which a session is closed: an app asks for a new token long before.
pub(super) const REFUSALS_MAX: u32 = 16;

/// How long a body of a polling request may take to arrive.
pub(super) const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// While a client probes a WebSocket its waiting poll is let go after this long, so that it can
/// finish the upgrade.
pub(super) const POLL_RELEASE: Duration = Duration::from_millis(100);
