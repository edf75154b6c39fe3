use axum::extract::{FromRef, FromRequestParts, Path};
use http::request::Parts;

use super::{problem::Problem, state::AppState};
use crate::{
    access::{Denied, Grant, Scope, Unauthorized, authorize, bearer},
    domain::Account,
};

/// The grant of the caller. Handlers extract it before the body, so that the body of an unknown caller is
/// not read.
pub(crate) struct Caller(pub(crate) Grant);

impl Caller {
    /// Checks that the grant covers `account` for `scope`.
    ///
    /// # Errors
    /// `not_found`, as for an account that does not exist, so that callers cannot find out which do.
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
    AppState: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let app = AppState::from_ref(state);
        let token = bearer(&parts.headers)?;
        let token = token.ok_or_else(|| Denied::new("no Authorization: Bearer header"))?;
        match authorize(&*app.access, token).await {
            Ok(grant) => Ok(Self(grant)),
            Err(Unauthorized::Denied(denied)) => Err(denied.into()),
            Err(Unauthorized::TimedOut) => Err(Problem::access_unavailable()),
        }
    }
}

/// The account in the path.
pub(crate) struct AccountPath(pub(crate) Account);

impl<S: Send + Sync> FromRequestParts<S> for AccountPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Ok(Path(name)) = Path::<String>::from_request_parts(parts, state).await else {
            return Err(Problem::bad_request(
                "invalid_account",
                "the account in the path is not UTF-8 after percent-decoding",
            ));
        };
        let account = Account::parse(&name);
        account
            .map(Self)
            .map_err(|invalid| Problem::bad_request(invalid.code(), invalid.message().to_owned()))
    }
}
