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
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    Api, Caller, Problem, body,
    caller::Named,
    etag::{etag, has_already, tags},
    query::{Asked, Nothing},
};
use crate::{
    access::Scope,
    domain::{Account, Budget, Profile, ProfileChange, from_object},
};

/// The most bytes of a profile: a name, a time zone, and 32 budgets of a kilobyte each.
const PROFILE_BYTES_MAX: usize = 64 * 1024;

/// An account's settings.
#[derive(Serialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "Profile")
)]
pub(crate) struct Shown<'a> {
    /// Whose they are.
    account: &'a Account,
    #[serde(flatten)]
    profile: &'a Profile,
}

/// What a profile is replaced with: what is absent goes back to its default.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "ProfileInput")
)]
pub(crate) struct Sent<'a> {
    /// What to call the customer: at most 128 characters.
    name: Option<String>,
    /// An IANA name; `UTC` unless given.
    time_zone: Option<String>,
    /// What the customer means to stay within: at most 32.
    // Read one by one, so that a refusal says that it is a budget's.
    #[serde(default, borrow)]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<Budget>"))]
    budgets: Vec<&'a RawValue>,
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
    let change = ProfileChange {
        if_revision: expected_revision(&headers)?,
        ..read_change(&json)?
    };
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

fn read_change(json: &[u8]) -> Result<ProfileChange, Problem> {
    let sent: Sent<'_> = from_object(json).map_err(|error| {
        let detail = format!("the body is no profile: {error}");
        Problem::bad_request("invalid_profile", detail)
    })?;
    let budgets = sent.budgets.iter().map(|budget| {
        from_object::<Budget>(budget.get().as_bytes()).map_err(|error| {
            let detail = format!("this is no budget: {error}");
            Problem::bad_request("invalid_budget", detail)
        })
    });
    Ok(ProfileChange {
        name: sent.name,
        time_zone: sent.time_zone,
        budgets: budgets.collect::<Result<_, _>>()?,
        if_revision: None,
    })
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
