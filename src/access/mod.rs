//! Who may do what, until when.
//!
//! A [`Grant`] says who the caller is and what they may do. An [`Authorize`] finds the grant of a bearer token.
//! [`Jwt`] is Tallycast's own implementation, and [`Signer`] makes tokens for it. [`Origins`] lists the web pages
//! that may call.

mod authorize;
mod bearer;
mod check;
mod claims;
mod grant;
mod jwt;
mod key;
mod numeric_date;
mod open_grants;
mod origin;
mod revocations;
mod scope;
mod signed_token;
mod signer;
mod ticket;

pub use authorize::{Authorize, Authorizing, Denied};
pub use grant::{Accounts, Grant};
pub use jwt::Jwt;
pub use key::KeyError;
pub use open_grants::ConnectionsOf;
pub use origin::Origins;
pub use scope::{Scope, Scopes};
pub use signer::Signer;

pub(crate) use bearer::bearer;
pub(crate) use check::{TOKEN_BYTES_MAX, Unauthorized, authorize, renew};
pub(crate) use open_grants::{GrantEnd, OpenGrant, OpenGrants};
pub(crate) use revocations::{RevocableAccess, Revocations};
pub(crate) use ticket::Tickets;
