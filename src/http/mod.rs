//! What all HTTP routes of `api` and `transport` share: the state of the handlers, the caller's grant, the strict
//! query, JSON bodies, the check of the origin, the caching of answers, and refusals.

mod body;
mod caching;
mod caller;
mod checks;
mod problem;
mod query;
mod state;

pub(crate) use body::{BodyError, ReceivedBody, content_type, is_gzipped, read, read_json};
pub(crate) use caching::NO_STORE;
pub(crate) use caller::{AccountPath, Caller};
pub(crate) use checks::{with_checks, with_cors};
#[cfg(feature = "schema")]
pub(crate) use problem::ProblemBody;
pub(crate) use problem::{Problem, not_found};
pub(crate) use query::{CacheBuster, NoQuery, ReadQuery, StrictQuery, invalid_query};
pub(crate) use state::AppState;
