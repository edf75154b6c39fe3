//! Why the server closes a connection, and what it says.

use std::time::Duration;

use serde_json::json;

use super::frame::CloseCode;
use crate::domain::Position;

/// A reason for the server to close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Farewell {
    Slow,
    Expired,
    Shutdown,
    Limit,
    Unavailable,
    /// An account that it follows was erased.
    Erased,
}

impl Farewell {
    /// The `code` of the `closing` message.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Expired => "expired",
            Self::Shutdown | Self::Unavailable => "shutdown",
            Self::Limit => "limit",
            Self::Erased => "revoked",
        }
    }

    pub(super) fn message(self) -> &'static str {
        match self {
            Self::Slow => "the connection took no data for too long: connect again",
            Self::Expired => "the token has expired: fetch a new one and connect again",
            Self::Shutdown => "the server is going away: connect again",
            Self::Limit => "too many requests at once: wait for their acks",
            Self::Unavailable => "the ledger is not available: connect again later",
            Self::Erased => {
                "the account was erased: forget what you show of it, then connect again"
            }
        }
    }

    /// How long the client should wait before it connects again.
    pub(super) fn retry(self) -> Duration {
        match self {
            Self::Slow | Self::Shutdown | Self::Erased => Duration::from_secs(1),
            Self::Expired => Duration::ZERO,
            Self::Limit | Self::Unavailable => Duration::from_secs(5),
        }
    }

    /// The whole `closing` message, to a client that is at `position`.
    pub(super) fn message_at(self, position: Option<&Position>) -> String {
        let mut closing = json!({
            "type": "closing",
            "code": self.code(),
            "message": self.message(),
            "retry_ms": self.retry().as_millis(),
        });
        if let Some(position) = position {
            closing["position"] = json!(position.to_string());
        }
        closing.to_string()
    }

    /// The WebSocket close code.
    pub(super) fn close_code(self) -> CloseCode {
        match self {
            Self::Slow | Self::Unavailable => CloseCode::TryLater,
            Self::Expired | Self::Limit | Self::Erased => CloseCode::Policy,
            Self::Shutdown => CloseCode::Restart,
        }
    }
}
