//! Who may do what, until when.
//!
//! A [`Grant`] is the answer to "who is this?"; an [`Authorize`] finds it for a bearer token. [`Jwt`]
//! is the one that comes with Tallycast, [`Signer`] makes tokens for it, and [`Origins`] says which web
//! pages may call.

mod authorize;
mod bearer;
mod check;
mod claims;
mod grant;
mod jwt;
mod key;
mod origin;
mod scope;
mod signer;
mod ticket;

pub use authorize::{Authorize, Authorizing, Denied};
pub use grant::{Accounts, Grant};
pub use jwt::Jwt;
pub use key::KeyError;
pub use origin::Origins;
pub use scope::{Scope, Scopes};
pub use signer::Signer;

pub(crate) use bearer::bearer;
pub(crate) use check::{TOKEN_BYTES_MAX, Unauthorized, authorize, renew};
pub(crate) use ticket::Tickets;
