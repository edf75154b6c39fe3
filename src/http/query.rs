use axum::extract::{FromRequestParts, Query};
use http::request::Parts;
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};

use super::problem::Problem;
use crate::feed::BadOption;

/// The query string as a `T` that denies unknown fields: a misspelt `limit` is an error, and so is a repeated
/// key.
pub(crate) struct StrictQuery<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for StrictQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(invalid_query(rejection.body_text())),
        }
    }
}

/// The query of a route that takes no parameters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoQuery {}

/// What libraries add to the address of a GET so that no cache answers it: `_` of jQuery (`cache: false`), `_dc` of
/// Ext JS (by default). It means nothing here, since no answer may be stored.
pub(crate) type CacheBuster = Option<IgnoredAny>;

/// The query of a read that takes no parameters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadQuery {
    #[serde(rename = "_", alias = "_dc")]
    _cache_buster: CacheBuster,
}

/// The refusal of a query that the route does not accept.
pub(crate) fn invalid_query(detail: impl Into<String>) -> Problem {
    Problem::bad_request("invalid_query", detail.into())
}

impl From<BadOption> for Problem {
    fn from(BadOption(detail): BadOption) -> Self {
        invalid_query(detail)
    }
}
