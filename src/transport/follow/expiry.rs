//! How long a connection may last: until its grant ends, or the server tells it to close.

use std::{future::pending, time::Duration};

use jiff::Timestamp;
use serde::Serialize;
use tokio::time::{Instant, sleep_until};

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
    /// The same, as the client is told.
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
    /// forward does not disconnect everybody.
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
    pub(crate) fn end(self) -> Option<Instant> {
        self.0.map(|moments| moments.end)
    }

    /// Resolves when the grant has ended. Cancel-safe.
    ///
    /// Callers wait for it beside whatever else may close the connection, in one `select!`: an async function around
    /// both would store them twice, in every idle connection.
    pub(crate) fn ended(self) -> impl Future<Output = ()> {
        until(self.end())
    }

    /// Resolves when the client should be told that its grant ends soon. Cancel-safe.
    pub(crate) fn ends_soon(self) -> impl Future<Output = ()> {
        until(self.0.map(|moments| moments.notice))
    }

    /// The message for a client whose grant ends soon; `None` if its end is too far away to matter.
    pub(crate) fn notice(self) -> Option<AuthExpiring> {
        let Moments { expires_at, .. } = self.0?;
        Some(AuthExpiring {
            r#type: "auth_expiring",
            expires_at,
        })
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
