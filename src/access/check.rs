//! Asking an [`Authorize`] for a grant: within a time, and for tokens of a bounded length.

use std::time::Duration;

use tokio::time::timeout;

use super::{Authorize, Denied, Grant, Tickets};
use crate::domain::Invalid;

/// How long an [`Authorize`] may take: longer than a session store needs on a bad day, shorter than a client
/// waits.
const AUTHORIZE_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest token, in bytes. It bounds the work that a stranger can cause, and leaves room for some
/// hundred accounts. Common servers limit a whole header to this size.
pub(crate) const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// Why a token got no grant.
pub(crate) enum Unauthorized {
    /// The token stands for no grant.
    Denied(Denied),
    /// The check took too long.
    TimedOut,
}

/// The grant of a token. Cancel-safe.
pub(crate) async fn authorize(access: &dyn Authorize, token: &str) -> Result<Grant, Unauthorized> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(Unauthorized::Denied(Denied::new("the token is too long")));
    }
    match timeout(AUTHORIZE_TIMEOUT, access.authorize(token)).await {
        Ok(Ok(grant)) => Ok(grant),
        Ok(Err(denied)) => Err(Unauthorized::Denied(denied)),
        Err(_) => Err(Unauthorized::TimedOut),
    }
}

/// The grant of a new token for a connection that is open: it must have the subject of the `current` one, and
/// a ticket is not accepted. Cancel-safe.
///
/// # Errors
/// `unauthorized`, `unavailable`, `wrong_subject`.
pub(crate) async fn renew(
    access: &dyn Authorize,
    current: &Grant,
    token: &str,
) -> Result<Grant, Invalid> {
    let refused = || Invalid::new("unauthorized", "the token was refused: fetch a new one");
    if Tickets::is_ticket(token) {
        return Err(refused());
    }
    let grant = match authorize(access, token).await {
        Ok(grant) => grant,
        Err(Unauthorized::Denied(denied)) => {
            tracing::debug!(reason = denied.reason(), "a token was refused");
            return Err(refused());
        }
        Err(Unauthorized::TimedOut) => {
            let message = "the token could not be checked: try again";
            return Err(Invalid::new("unavailable", message));
        }
    };
    if grant.subject() != current.subject() {
        let message = "connect anew to use a token of another subject";
        return Err(Invalid::new("wrong_subject", message));
    }
    Ok(grant)
}
