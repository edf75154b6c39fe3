//! Pushes: ephemeral events to Socket.IO rooms, at most once, outside the ledger.

mod data;
mod queue;
mod route;

use std::time::Duration;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

pub(crate) use queue::PushQueue;
#[cfg(feature = "schema")]
pub(crate) use route::PushRequest;
pub(super) use route::post;

use crate::domain::{Account, Invalid};

/// The feed's namespace, which is the default.
const FEED: &str = "/feed";
/// Events that only the feed itself may send in its namespace, so that an app can trust them.
const FEED_EVENTS: &[&str] = &[
    "snapshot",
    "update",
    "live",
    "rollover",
    "closing",
    "auth_expiring",
];
/// Events that clients reserve in every namespace (Socket.IO protocol, "reserved events").
const CLIENT_EVENTS: &[&str] = &[
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener",
];

/// An ephemeral event for connected Socket.IO clients, sent with [`Hub::push`](crate::Hub::push). A client that is not
/// connected, or is slow, misses it.
///
/// ```
/// # use tallycast::{Account, Push, PushTo};
/// let alice = Account::parse("alice")?;
/// let coupon = Push::new(PushTo::Account(alice), "coupon", &"BREAKFAST")?;
/// # Ok::<(), tallycast::Invalid>(())
/// ```
#[derive(Debug, Clone)]
pub struct Push {
    pub(super) to: PushTo,
    pub(super) namespace: String,
    pub(super) event: String,
    pub(super) data: Box<RawValue>,
    pub(super) is_volatile: bool,
    pub(super) ack_timeout: Option<Duration>,
}

/// The sockets that a push is for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PushTo {
    /// Every socket that follows this account.
    Account(Account),
    /// Every socket whose token has this subject, a person or a service.
    Subject(String),
    /// Every socket in this room, which your own handlers let sockets join.
    Room(String),
    /// Every socket of the namespace.
    All,
}

/// What became of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Pushed {
    /// The sockets that it went to.
    pub sockets: usize,
    /// Those that acknowledged in time, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<usize>,
}

impl Push {
    /// The most characters of an event's name.
    pub const EVENT_CHARS_MAX: usize = 128;
    /// The most bytes of the data, as JSON: 64 KiB.
    pub const DATA_BYTES_MAX: usize = data::BYTES_MAX;
    /// The most arrays and objects around any part of the data: 100. Parsers of clients have such limits too, and fail beyond
    /// them: the lowest is 128, which the packet's own array counts in.
    pub const DATA_LEVELS_MAX: usize = data::LEVELS_MAX;
    /// The longest wait for acknowledgements: 30 seconds.
    pub const ACK_TIMEOUT_MAX: Duration = Duration::from_secs(30);

    /// An event with this name and data, in the namespace `/feed`.
    ///
    /// # Errors
    /// `invalid_push` if the name is empty, too long or has control characters, or if the data is not JSON, is too long
    /// or is nested too deep. A `RawValue` is passed on as it is; only the HTTP route also refuses JSON that clients
    /// parse differently, such as a repeated name in an object.
    pub fn new(
        to: PushTo,
        event: impl Into<String>,
        data: &(impl Serialize + ?Sized),
    ) -> Result<Self, Invalid> {
        let event = event.into();
        let chars = event.chars().count();
        if !(1..=Self::EVENT_CHARS_MAX).contains(&chars) || event.chars().any(char::is_control) {
            return Err(invalid("an event's name has 1 to 128 characters"));
        }
        let data = to_raw_value(data).map_err(|_| invalid("the data is not JSON"))?;
        data::check_size(data.get()).map_err(invalid)?;
        Ok(Self {
            to,
            namespace: FEED.to_owned(),
            event,
            data,
            is_volatile: false,
            ack_timeout: None,
        })
    }

    /// Sends it in another namespace, which must have a handler.
    #[must_use]
    pub fn with_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Skips sockets that are busy. Such a push cannot be acknowledged.
    #[must_use]
    pub fn volatile(mut self) -> Self {
        self.is_volatile = true;
        self
    }

    /// Waits for acknowledgements and counts those that arrive within `timeout`, which is at most
    /// [`ACK_TIMEOUT_MAX`](Self::ACK_TIMEOUT_MAX).
    #[must_use]
    pub fn acknowledged_within(mut self, timeout: Duration) -> Self {
        self.ack_timeout = Some(timeout.min(Self::ACK_TIMEOUT_MAX));
        self
    }

    /// Whether both go to the same sockets in the same way.
    fn goes_with(&self, other: &Self) -> bool {
        self.to == other.to && self.is_volatile == other.is_volatile
    }

    fn check(&self) -> Result<(), Invalid> {
        let event = self.event.as_str();
        let is_reserved = CLIENT_EVENTS.contains(&event)
            || (self.namespace == FEED && FEED_EVENTS.contains(&event));
        if is_reserved {
            let message = "this event is reserved by the feed or the client: choose another name";
            return Err(Invalid::new("reserved_event", message));
        }
        if self.is_volatile && self.ack_timeout.is_some() {
            return Err(invalid("a volatile push is not acknowledged: choose one"));
        }
        Ok(())
    }
}

fn invalid(message: &str) -> Invalid {
    Invalid::new("invalid_push", message)
}
