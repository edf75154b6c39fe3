//! `POST /v1/push`.

use std::time::Duration;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Push, PushTo, data};
use crate::{
    access::{Grant, Scope},
    domain::{Account, Invalid, from_object},
    http::{Caller, NO_STORE, NoQuery, Problem, StrictQuery, read_json},
    transport::state::TransportState,
};

/// The largest request, in bytes: its data, and room for names.
const REQUEST_BYTES_MAX: usize = Push::DATA_BYTES_MAX + 4 * 1024;

/// An ephemeral event for connected Socket.IO clients, at most once.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "Push")
)]
pub(crate) struct PushRequest {
    /// Whom it is for.
    to: PushTarget,
    /// `/feed` unless given.
    namespace: Option<String>,
    /// Its name: 1 to 128 characters, none of the feed's own events.
    event: String,
    /// Any JSON of at most 64 KiB and 100 levels; `null` unless given.
    #[cfg_attr(feature = "schema", schemars(with = "Option<serde_json::Value>"))]
    data: Option<Box<RawValue>>,
    /// Leave out sockets that are busy.
    #[serde(default)]
    volatile: bool,
    /// Count who answers within so long: 1 to 30,000.
    ack_timeout_ms: Option<u64>,
}

/// One of these; all but `account` need a token for all accounts.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "PushTo")
)]
struct PushTarget {
    /// Every socket that follows this account.
    account: Option<String>,
    /// Every socket of this person or service.
    subject: Option<String>,
    /// Every socket in this room of a host's own.
    room: Option<String>,
    /// Every socket of the namespace.
    #[serde(default)]
    all: bool,
}

/// Pushes to the sockets in the body, if the token covers them.
pub(crate) async fn post(
    State(state): State<TransportState>,
    headers: HeaderMap,
    caller: Caller,
    StrictQuery(NoQuery {}): StrictQuery<NoQuery>,
    body: Body,
) -> Result<Response, Problem> {
    if !caller.grant.allows(Scope::Push) {
        return Err(Problem::not_found());
    }
    let json = read_json(&headers, body, REQUEST_BYTES_MAX, caller.bytes(&state.app)).await?;
    let request: PushRequest = from_object(&json).map_err(|error| {
        Problem::bad_request("invalid_push", format!("the body is not a push: {error}"))
    })?;
    let push = request.check().map_err(Problem::from)?;
    if !may_reach(&caller.grant, &push.to) {
        return Err(Problem::not_found());
    }
    let pushed = state.pushes.push(push).await?;
    Ok((NO_STORE, Json(pushed)).into_response())
}

impl PushRequest {
    fn check(self) -> Result<Push, Invalid> {
        let to = self.to.check()?;
        let null = RawValue::NULL.to_owned();
        let data = self.data.unwrap_or(null);
        let mut push = Push::new(to, self.event, &*data)?;
        // What a host serializes has no such fault.
        data::check_reading(data.get()).map_err(invalid)?;
        if let Some(namespace) = self.namespace {
            push = push.with_namespace(namespace);
        }
        if self.volatile {
            push = push.volatile();
        }
        let Some(millis) = self.ack_timeout_ms else {
            return Ok(push);
        };
        let timeout = Duration::from_millis(millis);
        if timeout.is_zero() || timeout > Push::ACK_TIMEOUT_MAX {
            return Err(invalid("ack_timeout_ms is 1 to 30000"));
        }
        Ok(push.acknowledged_within(timeout))
    }
}

impl PushTarget {
    fn check(self) -> Result<PushTo, Invalid> {
        match (self.account, self.subject, self.room, self.all) {
            (Some(account), None, None, false) => Account::parse(&account).map(PushTo::Account),
            (None, Some(subject), None, false) => Ok(PushTo::Subject(subject)),
            (None, None, Some(room), false) => Ok(PushTo::Room(room)),
            (None, None, None, true) => Ok(PushTo::All),
            _ => Err(invalid(
                "to has one of account, subject, room, and all: true",
            )),
        }
    }
}

/// Sockets of an account need a token for that account. All other sockets may follow any account, so they need a
/// token for all.
fn may_reach(grant: &Grant, to: &PushTo) -> bool {
    match to {
        PushTo::Account(account) => grant.permits(account),
        _ => grant.accounts().is_all(),
    }
}

fn invalid(message: &str) -> Invalid {
    Invalid::new("invalid_push", message)
}
