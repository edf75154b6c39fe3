use std::time::Duration;

use axum::extract::{FromRef, FromRequestParts, Path};
use http::{HeaderMap, header::AUTHORIZATION, request::Parts};
use tokio::time::timeout;

use super::{Api, Problem};
use crate::{
    access::{Denied, Grant, Scope},
    domain::Account,
};

/// How long an embedder's `Authorize` may think: longer than a session store needs on a bad day, shorter
/// than a client waits.
const AUTHORIZE_MAX: Duration = Duration::from_secs(10);

/// The grant of whoever sent the request. Handlers take it before the body, so that a stranger's body
/// is not read.
pub(crate) struct Caller(pub(crate) Grant);

impl Caller {
    /// Lets the caller go on with `account`, if the grant covers it for `scope`.
    ///
    /// # Errors
    /// The `not_found` that an account gets which does not exist: nobody learns which accounts do.
    pub(crate) fn check(&self, scope: Scope, account: &Account) -> Result<(), Problem> {
        if self.0.allows(scope) && self.0.permits(account) {
            Ok(())
        } else {
            Err(Problem::not_found())
        }
    }
}

impl<S> FromRequestParts<S> for Caller
where
    Api: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let api = Api::from_ref(state);
        let token = bearer(&parts.headers)?;
        let asked = timeout(AUTHORIZE_MAX, api.access.authorize(token)).await;
        Ok(Self(asked.map_err(|_| Problem::access_unavailable())??))
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str, Denied> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Denied::new("no Authorization header, or several"));
    };
    value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or_else(|| Denied::new("the Authorization is no Bearer"))
}

/// The account that the path names.
pub(crate) struct Named(pub(crate) Account);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Ok(Path(name)) = Path::<String>::from_request_parts(parts, state).await else {
            return Err(Problem::bad_request(
                "invalid_account",
                "the account in the path is not UTF-8 once its percent signs are decoded",
            ));
        };
        let account = Account::parse(&name);
        account
            .map(Self)
            .map_err(|invalid| Problem::bad_request(invalid.code(), invalid.message().to_owned()))
    }
}
