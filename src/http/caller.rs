use axum::extract::{FromRef, FromRequestParts, Path};
use http::{HeaderMap, request::Parts};
use jiff::Timestamp;

use super::{problem::Problem, state::AppState};
use crate::{
    access::{Denied, Grant, Scope, Unauthorized, authorize, bearer},
    domain::Account,
    quota::{Client, HeldBytes},
};

/// Who calls. Handlers extract it before the body, so that the body of an unknown caller is not read.
pub(crate) struct Caller {
    pub(crate) grant: Grant,
    pub(crate) client: Client,
}

impl Caller {
    /// Checks that the grant covers `account` for `scope`.
    ///
    /// # Errors
    /// `not_found`, as for an account that does not exist, so that callers cannot find out which do.
    pub(crate) fn check(&self, scope: Scope, account: &Account) -> Result<(), Problem> {
        if self.grant.allows(scope) && self.grant.permits(account) {
            Ok(())
        } else {
            Err(Problem::not_found())
        }
    }
}

impl Caller {
    /// The caller of a request, by its token or else by its ticket. It counts against the quotas.
    ///
    /// # Errors
    /// `unauthorized`, `access_unavailable`, `too_many_requests`.
    pub(crate) async fn identify(
        app: &AppState,
        parts: &Parts,
        ticket: Option<&str>,
    ) -> Result<Self, Problem> {
        let client = app.usage.client(&parts.extensions, &parts.headers);
        match grant(app, &parts.headers, ticket).await {
            Ok(grant) => {
                app.usage.accepted(client, &grant).await?;
                Ok(Self { grant, client })
            }
            Err(Unauthorized::Denied(denied)) => {
                app.usage.rejected(client);
                Err(denied.into())
            }
            Err(Unauthorized::TimedOut) => Err(Problem::access_unavailable()),
        }
    }

    /// The bytes of its request's body, of which none are held yet.
    pub(crate) fn bytes(&self, app: &AppState) -> HeldBytes {
        app.usage.bytes(self.client, Some(&self.grant))
    }
}

async fn grant(
    app: &AppState,
    headers: &HeaderMap,
    ticket: Option<&str>,
) -> Result<Grant, Unauthorized> {
    let bearer = bearer(headers).map_err(Unauthorized::Denied)?;
    match (bearer, ticket) {
        // A client that can send a header does not need a ticket.
        (Some(token), _) => authorize(&*app.access, token).await,
        (None, Some(ticket)) => {
            let redeemed = app.tickets.redeem(ticket, Timestamp::now());
            redeemed.map_err(Unauthorized::Denied)
        }
        (None, None) => Err(Unauthorized::Denied(Denied::new(
            "no Authorization: Bearer header",
        ))),
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
        Self::identify(&app, parts, None).await
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
