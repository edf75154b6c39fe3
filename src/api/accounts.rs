use axum::{
    Json,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, StatusCode,
    header::{ETAG, IF_MATCH},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::etag::{etag, is_current, tags};
use crate::{
    access::Scope,
    domain::{Account, Budget, Profile, ProfileChange, from_object},
    http::{
        AccountPath, AppState, Caller, NO_STORE, NoQuery, Problem, ReadQuery, StrictQuery,
        read_json,
    },
};

/// The largest profile in bytes: a name, a time zone, and 32 budgets of a kilobyte each.
const PROFILE_BYTES_MAX: usize = 64 * 1024;

/// An account's settings.
#[derive(Serialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "Profile")
)]
pub(crate) struct ProfileBody<'a> {
    /// Whose they are.
    account: &'a Account,
    #[serde(flatten)]
    profile: &'a Profile,
}

/// What a profile is replaced with: what is absent goes back to its default.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct ProfileInput<'a> {
    /// What to call the customer: at most 128 characters.
    name: Option<String>,
    /// An IANA name; `UTC` unless given.
    time_zone: Option<String>,
    /// What the customer means to stay within: at most 32.
    // Parsed one by one, so that the error says which budget it is about.
    #[serde(default, borrow)]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<Budget>"))]
    budgets: Vec<&'a RawValue>,
}

/// `GET /v1/accounts/{account}`: the profile.
pub(super) async fn read(
    State(app): State<AppState>,
    caller: Caller,
    AccountPath(account): AccountPath,
    StrictQuery(ReadQuery { .. }): StrictQuery<ReadQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.check(Scope::Watch, &account)?;
    let profile = app.feed_for(&caller.grant).profile(&account).await?;
    let tag = etag(profile.revision);
    if is_current(&headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, tag)], NO_STORE).into_response());
    }
    Ok(show(&account, &profile))
}

/// `PUT /v1/accounts/{account}`: replaces the profile. Absent fields go back to their defaults. With `If-Match`
/// it only replaces that revision.
pub(super) async fn replace(
    State(app): State<AppState>,
    caller: Caller,
    AccountPath(account): AccountPath,
    StrictQuery(NoQuery {}): StrictQuery<NoQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    caller.check(Scope::Admin, &account)?;
    let json = read_json(&headers, body, PROFILE_BYTES_MAX, caller.bytes(&app)).await?;
    let change = ProfileChange {
        if_revision: expected_revision(&headers)?,
        ..read_change(&json)?
    };
    let profile = app
        .feed_for(&caller.grant)
        .set_profile(&account, change)
        .await?;
    Ok(show(&account, &profile))
}

/// `DELETE /v1/accounts/{account}`: erases the account permanently.
pub(super) async fn erase(
    State(app): State<AppState>,
    caller: Caller,
    AccountPath(account): AccountPath,
    StrictQuery(NoQuery {}): StrictQuery<NoQuery>,
) -> Result<Response, Problem> {
    caller.check(Scope::Admin, &account)?;
    app.feed.erase(&account).await?;
    // Neither the token's subject, which may be a person, nor the erased account is logged.
    tracing::info!("an account was erased");
    Ok((StatusCode::NO_CONTENT, NO_STORE).into_response())
}

fn read_change(json: &[u8]) -> Result<ProfileChange, Problem> {
    let input: ProfileInput<'_> = from_object(json).map_err(|error| {
        let detail = format!("the body is not a profile: {error}");
        Problem::bad_request("invalid_profile", detail)
    })?;
    let budgets = input.budgets.iter().map(|budget| {
        from_object::<Budget>(budget.get().as_bytes()).map_err(|error| {
            let detail = format!("this is not a budget: {error}");
            Problem::bad_request("invalid_budget", detail)
        })
    });
    Ok(ProfileChange {
        name: input.name,
        time_zone: input.time_zone,
        budgets: budgets.collect::<Result<_, _>>()?,
        if_revision: None,
    })
}

fn show(account: &Account, profile: &Profile) -> Response {
    let headers = [(ETAG, etag(profile.revision))];
    (headers, NO_STORE, Json(ProfileBody { account, profile })).into_response()
}

/// The revision in `If-Match`; `*` is any.
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
