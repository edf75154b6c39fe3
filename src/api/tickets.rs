use axum::{
    Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header::CACHE_CONTROL};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Api, Caller, Problem, body,
    query::{Asked, Nothing},
};
use crate::{
    access::Scope,
    domain::{Account, from_object},
};

/// The most bytes of a request for a ticket: it names an account.
const REQUEST_BYTES_MAX: usize = 4 * 1024;

/// Whose connections a ticket should open.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "TicketRequest")
)]
pub(crate) struct Wanted {
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
pub(crate) struct Minted<'a> {
    /// Short-lived: it ends up in logs and histories.
    ticket: String,
    /// The one account that it watches.
    account: &'a Account,
    /// Until when it opens connections; those that it opened go on.
    expires_at: Timestamp,
}

/// `POST /v1/tickets`: a ticket for the account that the body names, or for the token's only one.
pub(super) async fn mint(
    State(api): State<Api>,
    caller: Caller,
    Asked(Nothing {}): Asked<Nothing>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let account = wanted(&headers, body).await?;
    let account = account.or_else(|| caller.0.sole_account()).ok_or_else(|| {
        let detail = "name the account in the body: this token has several";
        Problem::bad_request("account_missing", detail)
    })?;
    caller.check(Scope::Watch, &account)?;
    let ticket = api.tickets.mint(&caller.0, &account, Timestamp::now());
    let minted = Minted {
        ticket: ticket.text,
        account: &account,
        expires_at: ticket.expires_at,
    };
    let no_store = [(CACHE_CONTROL, "no-store")];
    Ok((StatusCode::CREATED, no_store, Json(minted)).into_response())
}

/// The account that the body names; a body is not needed.
async fn wanted(headers: &HeaderMap, body: Body) -> Result<Option<Account>, Problem> {
    let json = body::read_json(headers, body, REQUEST_BYTES_MAX).await?;
    if json.is_empty() {
        return Ok(None);
    }
    let wanted: Wanted = from_object(&json).map_err(|error| {
        Problem::bad_request(
            "invalid_request",
            format!("send {{ \"account\": … }}: {error}"),
        )
    })?;
    let account = wanted.account.map(|account| Account::parse(&account));
    let account = account.transpose();
    account.map_err(|invalid| Problem::bad_request(invalid.code(), invalid.message().to_owned()))
}
