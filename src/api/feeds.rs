use std::time::Duration;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_TYPE, ETAG},
};
use jiff::Timestamp;
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use super::etag::{etag, is_current};
use crate::{
    access::{Denied, Grant, GrantEnd, Scope},
    domain::Account,
    feed::{Feed, FeedReader, Interrupted, Message, SubscribeOptions, parse_recent},
    http::{
        AccountPath, AppState, CacheBuster, Caller, NO_STORE, Problem, StrictQuery, invalid_query,
    },
};

/// How long a poll may wait, in seconds: less than the 60 after which some proxies give up.
const WAIT_SECONDS_MAX: u64 = 55;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PollQuery {
    after: Option<String>,
    wait: Option<u64>,
    recent: Option<u64>,
    #[serde(rename = "_", alias = "_dc")]
    _cache_buster: CacheBuster,
}

/// `GET /v1/feeds/{account}`: the snapshot; or with `after` the next message, waiting up to `wait` seconds for
/// it.
pub(super) async fn poll(
    State(app): State<AppState>,
    caller: Caller,
    AccountPath(account): AccountPath,
    StrictQuery(query): StrictQuery<PollQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.check(Scope::Watch, &account)?;
    let wait = query.wait.unwrap_or(0);
    if wait > WAIT_SECONDS_MAX {
        return Err(invalid_query("wait is 0 to 55 seconds"));
    }
    let recent = parse_recent(query.recent)?;
    let Some(after) = query.after else {
        return snapshot(&app.feed_for(&caller.grant), &account, recent, &headers).await;
    };
    let options = SubscribeOptions {
        after: Some(after),
        recent,
        ..SubscribeOptions::default()
    };
    let subscription = app
        .usage
        .subscription(caller.client, &caller.grant, &account)?;
    let open = app.grants.open(&caller.grant, Some(&account));
    let reader = app.feed_for(&caller.grant).reader(account, options);
    let deadline = PollDeadline::new(&caller.grant, wait);
    let waited = tokio::select! {
        waited = deadline.next(reader) => waited?,
        () = app.closing.cancelled() => return Err(Problem::closing()),
        end = open.ended() => match end {
            GrantEnd::Revoked => return Err(Denied::new("it was revoked during a poll").into()),
            // The client asks again, as after every poll.
            GrantEnd::Disconnected => None,
        },
    };
    drop(subscription);
    Ok(match waited {
        Some(message) => shown(&message),
        None => (StatusCode::NO_CONTENT, NO_STORE).into_response(),
    })
}

async fn snapshot(
    feed: &Feed,
    account: &Account,
    recent: usize,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let snapshot = feed.snapshot(account, recent).await?;
    let tag = etag(snapshot.position());
    if is_current(headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, tag)], NO_STORE).into_response());
    }
    Ok(shown(&snapshot))
}

fn shown(message: &Message) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (ETAG, etag(message.position())),
    ];
    (headers, NO_STORE, message.json().get().to_owned()).into_response()
}

/// How long a poll waits: as requested, but not beyond its grant.
struct PollDeadline {
    until: Instant,
    waits: bool,
    outlives_grant: bool,
}

impl PollDeadline {
    fn new(grant: &Grant, wait_seconds: u64) -> Self {
        let requested = Duration::from_secs(wait_seconds);
        let granted = grant.expires_at().map(|end| {
            Duration::try_from(end.duration_since(Timestamp::now())).unwrap_or(Duration::ZERO)
        });
        let wait = granted.map_or(requested, |granted| granted.min(requested));
        Self {
            until: Instant::now() + wait,
            waits: wait_seconds > 0,
            outlives_grant: wait < requested,
        }
    }

    /// The next message that changes what the client shows; `None` if none comes in time.
    async fn next(&self, mut reader: FeedReader) -> Result<Option<Message>, Problem> {
        loop {
            let next = reader.next();
            let next = if self.waits {
                match timeout_at(self.until, next).await {
                    Ok(next) => next,
                    Err(_) if self.outlives_grant => {
                        return Err(Denied::new("it expired during a poll").into());
                    }
                    Err(_) => return Ok(None),
                }
            } else {
                next.await
            };
            let message = match next {
                Ok(message) => message,
                // The next message is the snapshot of an account without entries.
                Err(Interrupted::Erased) => continue,
                Err(Interrupted::Unavailable(unavailable)) => return Err(unavailable.into()),
            };
            if message.name() != "live" {
                return Ok(Some(message));
            }
            if !self.waits {
                return Ok(None);
            }
            reader.applied(&message);
        }
    }
}
