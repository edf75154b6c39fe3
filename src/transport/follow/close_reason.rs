//! Why the server closes a connection, and the message that it sends to the client.

use std::time::Duration;

use serde::Serialize;

use crate::{access::GrantEnd, domain::Position, feed::Interrupted};

/// Why the server closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CloseReason {
    Slow,
    Expired,
    Shutdown,
    Limit,
    Unavailable,
    /// An account that the connection follows was erased.
    Erased,
    /// The token was revoked.
    Revoked,
    /// An administrator closes the connections of the subject or the account.
    Disconnected,
}

/// The last message of a connection, which is about to close. It is best effort.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Closing {
    /// Tells it from other messages.
    #[cfg_attr(feature = "schema", schemars(extend("const" = "closing")))]
    r#type: &'static str,
    /// Why.
    code: ClosingCode,
    /// What to do about it, for people.
    message: &'static str,
    /// How long to wait before connecting again.
    #[cfg_attr(feature = "schema", schemars(with = "u64"))]
    retry_ms: u128,
    /// Where the client is; there when the connection follows one account and has had a message.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<Position>,
}

/// Why the server closes a connection, as clients are told.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
enum ClosingCode {
    /// The client took no data for too long.
    Slow,
    /// The token ended: fetch a new one, and connect at once.
    Expired,
    /// The account was erased, or the token was revoked: forget what you show of it.
    Revoked,
    /// An administrator closed the connection: connect again.
    Disconnected,
    /// The server goes away, or its ledger cannot be read.
    Shutdown,
    /// Too many requests without waiting for acks.
    Limit,
}

impl ClosingCode {
    fn name(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Disconnected => "disconnected",
            Self::Shutdown => "shutdown",
            Self::Limit => "limit",
        }
    }
}

impl CloseReason {
    fn closing_code(self) -> ClosingCode {
        match self {
            Self::Slow => ClosingCode::Slow,
            Self::Expired => ClosingCode::Expired,
            Self::Shutdown | Self::Unavailable => ClosingCode::Shutdown,
            Self::Limit => ClosingCode::Limit,
            Self::Erased | Self::Revoked => ClosingCode::Revoked,
            Self::Disconnected => ClosingCode::Disconnected,
        }
    }

    /// The `code` of the `closing` message.
    pub(crate) fn code(self) -> &'static str {
        self.closing_code().name()
    }

    fn message(self) -> &'static str {
        match self {
            Self::Slow => "the connection took no data for too long: connect again",
            Self::Expired => "the token has expired: fetch a new one and connect again",
            Self::Shutdown => "the server is going away: connect again",
            Self::Limit => "too many requests at once: wait for their acks",
            Self::Unavailable => "the ledger is not available: connect again later",
            Self::Erased => {
                "the account was erased: forget what you show of it, then connect again"
            }
            Self::Revoked => {
                "the token was revoked: forget what you show, then connect again with a new token"
            }
            Self::Disconnected => "an administrator closed the connection: connect again",
        }
    }

    /// How long the client should wait before it connects again.
    fn retry(self) -> Duration {
        match self {
            Self::Slow | Self::Shutdown | Self::Erased | Self::Revoked | Self::Disconnected => {
                Duration::from_secs(1)
            }
            Self::Expired => Duration::ZERO,
            Self::Limit | Self::Unavailable => Duration::from_secs(5),
        }
    }

    /// The whole `closing` message, for a client at `position`.
    pub(crate) fn message_at(self, position: Option<&Position>) -> String {
        let closing = Closing {
            r#type: "closing",
            code: self.closing_code(),
            message: self.message(),
            retry_ms: self.retry().as_millis(),
            position: position.copied(),
        };
        serde_json::to_string(&closing).expect("strings and numbers are JSON")
    }
}

impl From<GrantEnd> for CloseReason {
    fn from(end: GrantEnd) -> Self {
        match end {
            GrantEnd::Revoked => Self::Revoked,
            GrantEnd::Disconnected => Self::Disconnected,
        }
    }
}

impl From<Interrupted> for CloseReason {
    fn from(interrupted: Interrupted) -> Self {
        match interrupted {
            Interrupted::Erased => Self::Erased,
            Interrupted::Unavailable(_) => Self::Unavailable,
        }
    }
}
