//! Following an account over a connection that stays open: the request, the reader, and the reasons to close.

mod close_reason;
mod drain;
mod expiry;
mod follower;
mod request;

pub(crate) use close_reason::CloseReason;
#[cfg(feature = "schema")]
pub(crate) use close_reason::Closing;
pub(crate) use drain::{Drain, random_fraction};
#[cfg(feature = "schema")]
pub(crate) use expiry::AuthExpiring;
pub(crate) use expiry::Expiry;
pub(crate) use follower::{FollowEvent, Follower};
pub(crate) use request::FollowRequest;
