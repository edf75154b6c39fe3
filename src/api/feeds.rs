use std::time::Duration;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, ETAG},
};
use jiff::Timestamp;
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use super::{
    Api, Caller, Problem,
    caller::Named,
    etag::{etag, has_already},
    query::{self, Asked},
};
use crate::{
    access::{Denied, Grant, Scope},
    domain::Account,
    feed::{Feed, Interrupted, Message, SubscribeOptions, Subscription},
};

/// The longest that a poll may wait, in seconds: below the 60 after which proxies give up.
const WAIT_SECONDS_MAX: u64 = 55;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Poll {
    after: Option<String>,
    wait: Option<u64>,
    recent: Option<usize>,
}

impl Poll {
    fn check(&self) -> Result<(), Problem> {
        if self.wait.unwrap_or(0) > WAIT_SECONDS_MAX {
            return Err(query::invalid("wait is 0 to 55 seconds"));
        }
        if self.recent.unwrap_or(0) > Feed::RECENT_MAX {
            return Err(query::invalid("recent is 0 to 100 entries"));
        }
        Ok(())
    }
}

/// `GET /v1/feeds/{account}`: the snapshot, or with `after` the next message, waiting for it up to
/// `wait` seconds.
pub(super) async fn poll(
    State(api): State<Api>,
    caller: Caller,
    Named(account): Named,
    Asked(asked): Asked<Poll>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.check(Scope::Watch, &account)?;
    asked.check()?;
    let recent = asked.recent.unwrap_or(Feed::RECENT_DEFAULT);
    let Some(after) = asked.after else {
        return snapshot(&api.feed, &account, recent, &headers).await;
    };
    let options = SubscribeOptions {
        after: Some(after),
        recent,
        ..SubscribeOptions::default()
    };
    let subscription = api.feed.subscribe(account, options);
    let patience = Patience::new(&caller.0, asked.wait.unwrap_or(0));
    let waited = tokio::select! {
        waited = patience.next(subscription) => waited?,
        () = api.closing.cancelled() => return Err(Problem::closing()),
    };
    Ok(match waited {
        Some(message) => shown(&message),
        None => (StatusCode::NO_CONTENT, no_store()).into_response(),
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
    if has_already(headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, tag)], no_store()).into_response());
    }
    Ok(shown(&snapshot))
}

fn shown(message: &Message) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (ETAG, etag(message.position())),
    ];
    (headers, no_store(), message.json().get().to_owned()).into_response()
}

fn no_store() -> [(http::HeaderName, HeaderValue); 1] {
    [(CACHE_CONTROL, HeaderValue::from_static("no-store"))]
}

/// How long a poll waits: as asked, but not beyond its grant.
struct Patience {
    until: Instant,
    waits: bool,
    outlives_grant: bool,
}

impl Patience {
    fn new(grant: &Grant, wait_seconds: u64) -> Self {
        let asked = Duration::from_secs(wait_seconds);
        let granted = grant.expires_at().map(|end| {
            Duration::try_from(end.duration_since(Timestamp::now())).unwrap_or(Duration::ZERO)
        });
        let wait = granted.map_or(asked, |granted| granted.min(asked));
        Self {
            until: Instant::now() + wait,
            waits: wait_seconds > 0,
            outlives_grant: wait < asked,
        }
    }

    /// The next message that changes what the client shows; none when there is none in time.
    async fn next(&self, mut subscription: Subscription) -> Result<Option<Message>, Problem> {
        loop {
            let next = subscription.next();
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
                // What comes next is the snapshot of an account without entries.
                Err(Interrupted::Erased) => continue,
                Err(Interrupted::Unavailable(unavailable)) => return Err(unavailable.into()),
            };
            if message.name() != "live" {
                return Ok(Some(message));
            }
            if !self.waits {
                return Ok(None);
            }
            subscription.applied(&message);
        }
    }
}
