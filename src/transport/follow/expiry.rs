//! How long a connection may last: until its grant ends, or the server tells it to close.

use std::{future::pending, time::Duration};

use jiff::Timestamp;
use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use super::close_reason::CloseReason;
use crate::{
    access::Grant,
    transport::limits::{EXPIRY_MAX, EXPIRY_NOTICE},
};

/// When a connection's grant ends. A connection whose grant is renewed gets a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expiry(Option<Moments>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Moments {
    /// When the client is notified.
    notice: Instant,
    /// When the connection is closed.
    end: Instant,
    /// The same by the wall clock, for the client.
    expires_at: Timestamp,
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
    /// Converted from the wall clock once and then measured by the monotonic one, so that setting the clock
    /// forward does not disconnect every client.
    pub(crate) fn new(grant: &Grant) -> Self {
        let Some(expires_at) = grant.expires_at() else {
            return Self(None);
        };
        let left = Duration::try_from(expires_at - Timestamp::now()).unwrap_or(Duration::ZERO);
        let now = Instant::now();
        Self((left < EXPIRY_MAX).then(|| Moments {
            notice: now + left.saturating_sub(EXPIRY_NOTICE.min(left / 2)),
            end: now + left,
            expires_at,
        }))
    }

    /// When the grant ends; `None` if that is too far away to matter.
    pub(crate) fn end(&self) -> Option<Instant> {
        self.0.map(|moments| moments.end)
    }

    /// Resolves when the connection must close: because `other` has resolved, or because the grant has ended. As
    /// cancel-safe as `other`.
    pub(crate) async fn over(self, other: impl Future<Output = CloseReason>) -> CloseReason {
        tokio::select! {
            biased;
            reason = other => reason,
            () = until(self.end()) => CloseReason::Expired,
        }
    }

    /// Resolves when the client should be notified that its grant ends soon. Cancel-safe.
    pub(crate) async fn notice(self) -> AuthExpiring {
        until(self.0.map(|moments| moments.notice)).await;
        match self.0 {
            Some(Moments { expires_at, .. }) => AuthExpiring {
                r#type: "auth_expiring",
                expires_at,
            },
            None => pending().await,
        }
    }
}

impl AuthExpiring {
    /// The finished message.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings are JSON")
    }
}

/// Waits until a moment, or for ever if there is none.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}
