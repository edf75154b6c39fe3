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
    domain::{EventTime, Invalid, Revocation, StoredRevocation, from_object},
    feed::RevokeError,
    http::{AppState, Caller, NO_STORE, NoQuery, Problem, StrictQuery, read_json},
    ledger::Unavailable,
};

/// The largest request in bytes: its longest text, of which each byte may be escaped in six.
const REQUEST_BYTES_MAX: usize = 6 * Revocation::TEXT_BYTES_MAX + 1024;

/// Which tokens no longer count: either `jti`, or `subject` and `issued_before`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct RevocationRequest {
    /// The id of one token.
    jti: Option<String>,
    /// Whose tokens.
    subject: Option<String>,
    /// RFC 3339: those that were issued before it, and those that do not say when; at most 30 seconds ahead of now.
    issued_before: Option<String>,
    /// RFC 3339: when the last of the tokens has expired; in 400 days unless given.
    expires_at: Option<String>,
}

/// A revocation that counts.
#[derive(Serialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "Revocation")
)]
pub(crate) struct RevocationAnswer {
    /// The id of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    /// Whose tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    /// Tokens that were issued before it are revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_before: Option<Timestamp>,
    /// Until when it is kept.
    expires_at: Timestamp,
}

/// `POST /v1/revocations`: revokes a token, or what a subject was issued before an instant.
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
    let request: RevocationRequest = from_object(&json)
        .map_err(|error| invalid(format!("the body is no revocation: {error}")))?;
    let stored = revoke(&app, request.check()?).await?;
    let answer = RevocationAnswer {
        jti: request.jti,
        subject: request.subject,
        issued_before: stored.issued_before,
        expires_at: stored.expires_at,
    };
    Ok((StatusCode::CREATED, NO_STORE, Json(answer)).into_response())
}

impl RevocationRequest {
    fn check(&self) -> Result<Revocation, Invalid> {
        let issued_before = instant("issued_before", self.issued_before.as_deref())?;
        let revocation = match (&self.jti, &self.subject, issued_before) {
            (Some(id), None, None) => Revocation::of_token(id)?,
            (None, Some(subject), Some(before)) => Revocation::of_subject(subject, before)?,
            _ => return Err(invalid("send either jti, or subject and issued_before")),
        };
        Ok(match instant("expires_at", self.expires_at.as_deref())? {
            Some(expires_at) => revocation.until(expires_at),
            None => revocation,
        })
    }
}

/// Revokes tokens: first in the ledger, then for new requests, then for what is open.
///
/// Not cancel-safe: if the future is dropped, they may or may not be revoked.
pub(crate) async fn revoke(
    app: &AppState,
    revocation: Revocation,
) -> Result<StoredRevocation, RevokeError> {
    let (feed, grants) = (app.feed.clone(), app.grants.clone());
    // In a task of its own: what is stored must also count, even if the caller hangs up in between.
    let revoking = tokio::spawn(async move {
        let turn = grants.revocations().turn().await;
        let stored = turn.prepare(&revocation, Timestamp::now())?;
        feed.revoke(stored).await?;
        turn.add(stored);
        drop(turn);
        let closed = grants.revoke(&stored).await;
        tracing::info!(closed, "tokens were revoked");
        Ok(stored)
    });
    let ended = revoking.await;
    ended.unwrap_or_else(|_| Err(Unavailable::Closed.into()))
}

fn instant(field: &str, text: Option<&str>) -> Result<Option<Timestamp>, Invalid> {
    let time = text.map(EventTime::parse).transpose();
    let time = time.map_err(|error| invalid(format!("{field}: {}", error.message())))?;
    Ok(time.map(|time| time.instant()))
}

fn invalid(message: impl Into<String>) -> Invalid {
    Invalid::new("invalid_revocation", message)
}
