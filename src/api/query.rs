use axum::extract::{FromRequestParts, Query};
use http::request::Parts;
use serde::{Deserialize, de::DeserializeOwned};

use super::Problem;

/// The query string as a `T`, which denies unknown fields: a misspelt `limit` is told, not ignored. A
/// key given twice is refused as well.
pub(crate) struct Asked<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(rejection) => Err(invalid(rejection.body_text())),
        }
    }
}

/// The query of a route that takes none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// The refusal of a query that is not what the route takes.
pub(super) fn invalid(detail: impl Into<String>) -> Problem {
    Problem::bad_request("invalid_query", detail.into())
}
