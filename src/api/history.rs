use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use crate::{
    access::Scope,
    domain::Position,
    feed::parse_limit,
    http::{
        AccountPath, AppState, CacheBuster, Caller, NO_STORE, Problem, StrictQuery, invalid_query,
    },
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HistoryQuery {
    before: Option<u64>,
    after: Option<u64>,
    limit: Option<u64>,
    #[serde(rename = "_", alias = "_dc")]
    _cache_buster: CacheBuster,
}

/// `GET /v1/feeds/{account}/entries`: older entries, newest first; with `after`, oldest first.
pub(super) async fn entries(
    State(app): State<AppState>,
    caller: Caller,
    AccountPath(account): AccountPath,
    StrictQuery(page): StrictQuery<HistoryQuery>,
) -> Result<Response, Problem> {
    caller.check(Scope::Watch, &account)?;
    let limit = parse_limit(page.limit)?;
    if page
        .before
        .is_some_and(|offset| !(1..=Position::OFFSET_MAX).contains(&offset))
    {
        return Err(invalid_query("before is an offset: 1 to 2^53 - 1"));
    }
    if page
        .after
        .is_some_and(|offset| offset > Position::OFFSET_MAX)
    {
        return Err(invalid_query("after is an offset: 0 to 2^53 - 1"));
    }
    let feed = app.feed_for(&caller.grant);
    let history = match (page.before, page.after) {
        (before, None) => feed.history(&account, before, limit).await?,
        (None, Some(after)) => feed.history_after(&account, after, limit).await?,
        (Some(_), Some(_)) => return Err(invalid_query("send before or after, not both")),
    };
    Ok((NO_STORE, Json(history)).into_response())
}
