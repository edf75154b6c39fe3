use std::{borrow::Cow, fmt, future::Future, pin::Pin};

use super::Grant;

/// The future that [`Authorize::authorize`] returns.
pub type Authorizing<'a> = Pin<Box<dyn Future<Output = Result<Grant, Denied>> + Send + 'a>>;

/// Finds out who the bearer of a token is.
///
/// Every transport calls this before it does anything else. Implement it to replace [`Jwt`](super::Jwt)
/// with sessions, API keys or a request to another service.
///
/// ```
/// use tallycast::{Account, Authorize, Grant, Scope, access::{Accounts, Authorizing, Denied}};
///
/// struct DoorKey;
///
/// impl Authorize for DoorKey {
///     fn authorize<'a>(&'a self, token: &'a str) -> Authorizing<'a> {
///         Box::pin(async move {
///             if token != "open sesame" {
///                 return Err(Denied::new("not the door key"));
///             }
///             let alice = Account::parse("alice").map_err(|_| Denied::new("no such account"))?;
///             Ok(Grant::new("alice", Scope::Watch, Accounts::only(alice)))
///         })
///     }
/// }
/// ```
///
/// # Cancel safety
///
/// The caller drops the future when its client disconnects or a timeout expires. The implementation must allow
/// that at any await point.
pub trait Authorize: Send + Sync + 'static {
    /// The grant that `token` stands for.
    ///
    /// # Errors
    ///
    /// [`Denied`] if it stands for none. The API's caller never learns the reason.
    fn authorize<'a>(&'a self, token: &'a str) -> Authorizing<'a>;
}

/// A refusal. Callers learn only its code.
///
/// The reason is for the operator's debug log: an attacker could use it to distinguish a wrong key from an
/// expired token.
#[derive(Clone, PartialEq, Eq)]
pub struct Denied {
    code: &'static str,
    reason: Cow<'static, str>,
}

impl Denied {
    /// Refuses a token. `reason` is only for the log and must not contain the token.
    pub fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code: "unauthorized",
            reason: reason.into(),
        }
    }

    pub(super) fn origin(reason: &'static str) -> Self {
        Self {
            code: "origin_not_allowed",
            reason: reason.into(),
        }
    }

    /// `unauthorized`, or `origin_not_allowed` from [`Origins::check`](super::Origins::check).
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The reason, for a debug log. Never send it to the caller.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)
    }
}

impl fmt::Debug for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Denied({}: {})", self.code, self.reason)
    }
}

impl std::error::Error for Denied {}
