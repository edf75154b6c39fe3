use axum::{
    Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, StatusCode,
    header::{CACHE_CONTROL, ETAG, IF_MATCH},
};
use serde::Serialize;

use super::{
    Api, Caller, Problem, body,
    caller::Named,
    etag::{etag, has_already, tags},
    query::{Asked, Nothing},
};
use crate::{
    access::Scope,
    domain::{Account, Profile, ProfileChange, from_object},
};

/// The most bytes of a profile: a name, a time zone, and 32 budgets of a kilobyte each.
const PROFILE_BYTES_MAX: usize = 64 * 1024;

#[derive(Serialize)]
struct Shown<'a> {
    account: &'a Account,
    #[serde(flatten)]
    profile: &'a Profile,
}

/// `GET /v1/accounts/{account}`: the profile.
pub(super) async fn read(
    State(api): State<Api>,
    caller: Caller,
    Named(account): Named,
    Asked(Nothing {}): Asked<Nothing>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.check(Scope::Watch, &account)?;
    let profile = api.feed.profile(&account).await?;
    let tag = etag(profile.revision);
    if has_already(&headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response());
    }
    Ok(show(&account, &profile))
}

/// `PUT /v1/accounts/{account}`: replaces the profile. What is absent goes back to its default; with
/// `If-Match`, only if nobody edited it meanwhile.
pub(super) async fn replace(
    State(api): State<Api>,
    caller: Caller,
    Named(account): Named,
    Asked(Nothing {}): Asked<Nothing>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    caller.check(Scope::Admin, &account)?;
    let json = body::read_json(&headers, body, PROFILE_BYTES_MAX).await?;
    let mut change: ProfileChange = from_object(&json).map_err(|error| {
        Problem::bad_request(
            "invalid_profile",
            format!("the body is no profile: {error}"),
        )
    })?;
    change.if_revision = expected_revision(&headers)?;
    let profile = api.feed.set_profile(&account, change).await??;
    Ok(show(&account, &profile))
}

/// `DELETE /v1/accounts/{account}`: removes everything of it, for ever.
pub(super) async fn erase(
    State(api): State<Api>,
    caller: Caller,
    Named(account): Named,
    Asked(Nothing {}): Asked<Nothing>,
) -> Result<Response, Problem> {
    caller.check(Scope::Admin, &account)?;
    api.feed.erase(&account).await?;
    // The subject of the token is a person, the account is what they asked to forget: neither is logged.
    tracing::info!("an account was erased");
    Ok((StatusCode::NO_CONTENT, [(CACHE_CONTROL, "no-store")]).into_response())
}

fn show(account: &Account, profile: &Profile) -> Response {
    let headers = [(ETAG, etag(profile.revision))];
    let no_store = [(CACHE_CONTROL, "no-store")];
    (headers, no_store, Json(Shown { account, profile })).into_response()
}

/// The revision that `If-Match` names; `*` is any.
fn expected_revision(headers: &HeaderMap) -> Result<Option<u32>, Problem> {
    let mut tags = tags(headers, IF_MATCH);
    let (tag, None) = (tags.next(), tags.next()) else {
        return Err(Problem::bad_request(
            "invalid_header",
            "If-Match takes one entity tag: the ETag of the profile that you read",
        ));
    };
    match tag {
        None | Some("*") => Ok(None),
        Some(tag) => tag
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .and_then(|revision| revision.parse().ok())
            .map(Some)
            .ok_or_else(Problem::edited_meanwhile),
    }
}
