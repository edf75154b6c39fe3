use axum::{
    Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    access::Scope,
    domain::{Account, from_object},
    http::{AppState, Caller, NO_STORE, NoQuery, Problem, StrictQuery, read_json},
    quota::HeldBytes,
};

/// The largest request in bytes: it only names an account.
const REQUEST_BYTES_MAX: usize = 4 * 1024;

/// Whose connections a ticket should open.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct TicketRequest {
    /// May be left out where the token has one account.
    account: Option<String>,
}

/// What opens an account's connections from a browser, as `?ticket=` in their address.
#[derive(Serialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "Ticket")
)]
pub(crate) struct TicketAnswer<'a> {
    /// Short-lived: it ends up in logs and histories.
    ticket: String,
    /// The one account that it watches.
    account: &'a Account,
    /// Until when it opens connections; those that it opened go on.
    expires_at: Timestamp,
}

/// `POST /v1/tickets`: a ticket for the account that the body names, or for the token's only one.
pub(super) async fn mint(
    State(app): State<AppState>,
    caller: Caller,
    StrictQuery(NoQuery {}): StrictQuery<NoQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    if !caller.grant.allows(Scope::Watch) {
        return Err(Problem::not_found());
    }
    let account = requested_account(&headers, body, caller.bytes(&app)).await?;
    let account = account
        .or_else(|| caller.grant.sole_account())
        .ok_or_else(|| {
            let detail = "name the account in the body: this token has several";
            Problem::bad_request("account_missing", detail)
        })?;
    caller.check(Scope::Watch, &account)?;
    let ticket = app.tickets.mint(&caller.grant, &account, Timestamp::now());
    let answer = TicketAnswer {
        ticket: ticket.text,
        account: &account,
        expires_at: ticket.expires_at,
    };
    Ok((StatusCode::CREATED, NO_STORE, Json(answer)).into_response())
}

/// The account in the body, which may be empty.
async fn requested_account(
    headers: &HeaderMap,
    body: Body,
    held: HeldBytes,
) -> Result<Option<Account>, Problem> {
    let json = read_json(headers, body, REQUEST_BYTES_MAX, held).await?;
    if json.is_empty() {
        return Ok(None);
    }
    let request: TicketRequest = from_object(&json).map_err(|error| {
        Problem::bad_request(
            "invalid_request",
            format!("send {{ \"account\": … }}: {error}"),
        )
    })?;
    let account = request.account.map(|account| Account::parse(&account));
    let account = account.transpose();
    account.map_err(|invalid| Problem::bad_request(invalid.code(), invalid.message().to_owned()))
}
