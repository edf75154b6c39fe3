use axum::{
    Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use http::HeaderMap;
use serde::{Deserialize, Serialize};

use crate::{
    access::{ConnectionsOf, Scope},
    domain::{Account, Revocation, from_object},
    http::{AppState, Caller, NO_STORE, NoQuery, Problem, StrictQuery, read_json},
};

/// The largest request in bytes: a subject, of which each byte may be escaped in six.
const REQUEST_BYTES_MAX: usize = 6 * Revocation::TEXT_BYTES_MAX + 1024;

/// Whose connections to close: one of both.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct DisconnectRequest {
    /// Those of this person or service.
    subject: Option<String>,
    /// Those that follow this account.
    account: Option<String>,
}

/// What became of it.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Disconnected {
    /// How many connections were closed, and waiting polls were answered.
    closed: usize,
}

/// `POST /v1/disconnect`: closes the connections of a subject or an account, which may connect again at once.
pub(super) async fn post(
    State(app): State<AppState>,
    caller: Caller,
    StrictQuery(NoQuery {}): StrictQuery<NoQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    if !caller.grant.allows(Scope::Admin) {
        return Err(Problem::not_found());
    }
    let json = read_json(&headers, body, REQUEST_BYTES_MAX, caller.bytes(&app)).await?;
    let request: DisconnectRequest = from_object(&json)
        .map_err(|error| invalid(format!("the body is no subject or account: {error}")))?;
    let connections = request.check()?;
    if let ConnectionsOf::Account(account) = &connections {
        caller.check(Scope::Admin, account)?;
    }
    let closed = app.grants.disconnect(&connections).await;
    tracing::info!(closed, "connections were closed by an administrator");
    Ok((NO_STORE, Json(Disconnected { closed })).into_response())
}

impl DisconnectRequest {
    fn check(self) -> Result<ConnectionsOf, Problem> {
        match (self.subject, self.account) {
            (Some(subject), None) if !subject.is_empty() => Ok(ConnectionsOf::Subject(subject)),
            (None, Some(account)) => {
                let account = Account::parse(&account);
                account.map(ConnectionsOf::Account).map_err(|invalid| {
                    Problem::bad_request(invalid.code(), invalid.message().to_owned())
                })
            }
            _ => Err(invalid("send either subject or account")),
        }
    }
}

fn invalid(detail: impl Into<std::borrow::Cow<'static, str>>) -> Problem {
    Problem::bad_request("invalid_disconnect", detail)
}
