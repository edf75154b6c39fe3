use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::header::CACHE_CONTROL;
use serde::Deserialize;

use super::{
    Api, Caller, Problem,
    caller::Named,
    query::{self, Asked},
};
use crate::{access::Scope, domain::Position, feed::Feed};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    before: Option<u64>,
    after: Option<u64>,
    limit: Option<usize>,
}

/// `GET /v1/feeds/{account}/entries`: older entries, newest first; with `after`, oldest first.
pub(super) async fn entries(
    State(api): State<Api>,
    caller: Caller,
    Named(account): Named,
    Asked(page): Asked<Page>,
) -> Result<Response, Problem> {
    caller.check(Scope::Watch, &account)?;
    let limit = page.limit.unwrap_or(Feed::HISTORY_DEFAULT);
    if !(1..=Feed::HISTORY_MAX).contains(&limit) {
        return Err(query::invalid("limit is 1 to 200 entries"));
    }
    if page
        .before
        .is_some_and(|offset| !(1..=Position::OFFSET_MAX).contains(&offset))
    {
        return Err(query::invalid("before is an offset: 1 to 2^53 - 1"));
    }
    if page
        .after
        .is_some_and(|offset| offset > Position::OFFSET_MAX)
    {
        return Err(query::invalid("after is an offset: 0 to 2^53 - 1"));
    }
    let history = match (page.before, page.after) {
        (before, None) => api.feed.history(&account, before, limit).await?,
        (None, Some(after)) => api.feed.history_after(&account, after, limit).await?,
        (Some(_), Some(_)) => return Err(query::invalid("before or after: say one of them")),
    };
    Ok(([(CACHE_CONTROL, "no-store")], Json(history)).into_response())
}
