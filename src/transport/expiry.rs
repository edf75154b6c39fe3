//! When a grant ends, in the time that timers know.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::time::Instant;

use super::limits::{EXPIRY_MAX, EXPIRY_NOTICE};

/// The two moments of a grant that ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expiry {
    /// When its socket is told.
    pub(super) notice: Instant,
    /// When its socket is closed.
    pub(super) end: Instant,
    /// The same, as the client is told.
    pub(super) expires_at: Timestamp,
}

/// The token ends soon: `authenticate` with a new one, and go on.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct AuthExpiring {
    /// Tells it from other messages.
    #[cfg_attr(feature = "schema", schemars(extend("const" = "auth_expiring")))]
    r#type: &'static str,
    /// When the connection will be closed.
    expires_at: Timestamp,
}

impl Expiry {
    /// Read once from the wall clock, then timed by the steady one: setting the clock forward must
    /// not disconnect everybody.
    pub(super) fn new(expires_at: Option<Timestamp>) -> Option<Self> {
        let expires_at = expires_at?;
        let left = Duration::try_from(expires_at - Timestamp::now()).unwrap_or(Duration::ZERO);
        let now = Instant::now();
        (left < EXPIRY_MAX).then(|| Self {
            notice: now + left.saturating_sub(EXPIRY_NOTICE.min(left / 2)),
            end: now + left,
            expires_at,
        })
    }
}

impl AuthExpiring {
    pub(super) fn at(expires_at: Timestamp) -> Self {
        Self {
            r#type: "auth_expiring",
            expires_at,
        }
    }
}

/// Waits for a moment, or for ever if there is none. Cancel-safe.
pub(super) async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
