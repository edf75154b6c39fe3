use std::time::Duration;

use reqwest::{Client, StatusCode, Url, header};
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use super::{progress::ReplayProgress, row::RowEvent, tally::ItemResult};
use crate::cli::{
    answer::{AnswerError, cause, describe_refusal, read_answer, retry_after, shown},
    redact::UrlText,
    table::RowLocation,
};

/// The most events per request: half of the server's limit, and durable in one commit.
const BATCH_EVENTS_MAX: usize = 500;
/// The most bytes per request: below the server's 4 MiB.
const BATCH_BYTES_MAX: usize = 3 * 1024 * 1024;
/// How long a server may take to accept a connection, and to answer a batch.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The pause before the first retry. It doubles with each retry …
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// … up to this, so that a server that is back soon receives events again.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Events that are sent in one request.
#[derive(Debug, Default)]
pub(super) struct ReplayBatch {
    locations: Vec<RowLocation>,
    /// NDJSON.
    body: String,
}

impl ReplayBatch {
    pub(super) fn push(&mut self, event: RowEvent) {
        self.locations.push(event.location);
        self.body.push_str(&event.json);
        self.body.push('\n');
    }

    pub(super) fn has_room_for(&self, event: &RowEvent) -> bool {
        self.locations.len() < BATCH_EVENTS_MAX
            && self.body.len() + event.json.len() < BATCH_BYTES_MAX
    }

    pub(super) fn is_empty(&self) -> bool {
        self.locations.is_empty()
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = RowLocation> {
        self.locations.iter().copied()
    }

    pub(super) fn clear(&mut self) {
        self.locations.clear();
        self.body.clear();
    }
}

/// Sends batches to a server, and retries until it has answered.
///
/// A batch without a response is sent again unchanged: events that were recorded count as duplicates then.
#[derive(Debug)]
pub(super) struct Producer {
    client: Client,
    events_url: Url,
    token: header::HeaderValue,
    retry_for: Duration,
}

/// Why a batch was not accepted.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("--to `{url}` is not a server's URL: {cause}; write http://127.0.0.1:3000")]
    Url { url: UrlText, cause: String },
    #[error("the token contains characters that are not allowed in a header")]
    Token,
    #[error("cannot set up an HTTP client: {0}")]
    Client(reqwest::Error),
    #[error("{url} refused: {answer}")]
    Refused { url: UrlText, answer: String },
    #[error(
        "{url} did not take the events for {seconds} s: {last}. Once the server is back, run the same command \
         again: it continues from here"
    )]
    GaveUp {
        url: UrlText,
        seconds: u64,
        last: String,
    },
}

/// Why one attempt failed.
enum AttemptError {
    /// The next attempt may succeed.
    Temporary {
        what: String,
        pause: Option<Duration>,
    },
    Permanent(SendError),
}

#[derive(Deserialize)]
struct BatchResponse {
    results: Vec<ItemResult>,
}

impl Producer {
    /// `retry_for`: how long a batch is retried before giving up.
    pub(super) fn new(to: &UrlText, token: &str, retry_for: Duration) -> Result<Self, SendError> {
        let mut token = header::HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| SendError::Token)?;
        token.set_sensitive(true);
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .build()
            .map_err(SendError::Client)?;
        Ok(Self {
            client,
            events_url: events_url(to)?,
            token,
            retry_for,
        })
    }

    /// Sends a batch and returns one result per event, in order.
    pub(super) async fn send(
        &mut self,
        batch: &ReplayBatch,
        progress: &ReplayProgress,
    ) -> Result<Vec<ItemResult>, SendError> {
        let give_up_at = Instant::now() + self.retry_for;
        let mut pause = PAUSE_MIN;
        let mut is_reported = false;
        loop {
            let (what, requested) = match self.attempt(batch).await {
                Ok(results) => return Ok(results),
                Err(AttemptError::Permanent(error)) => return Err(error),
                Err(AttemptError::Temporary { what, pause }) => (what, pause),
            };
            let wait = requested.unwrap_or_else(|| jittered(pause));
            if Instant::now() + wait > give_up_at {
                return Err(SendError::GaveUp {
                    url: self.shown_url(),
                    seconds: self.retry_for.as_secs(),
                    last: what,
                });
            }
            if !is_reported {
                progress.note(&format!("{what}; retrying"));
                is_reported = true;
            }
            sleep(wait).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn attempt(&self, batch: &ReplayBatch) -> Result<Vec<ItemResult>, AttemptError> {
        let response = self
            .client
            .post(self.events_url.clone())
            .header(header::AUTHORIZATION, &self.token)
            .header(header::CONTENT_TYPE, "application/x-ndjson")
            .body(batch.body.clone())
            .send()
            .await
            .map_err(|error| unanswered(&cause(error)))?;
        let status = response.status();
        let pause = retry_after(&response).map(|pause| pause.max(PAUSE_MIN));
        if status == StatusCode::OK {
            let body = match read_answer(response).await {
                Ok(body) => body,
                Err(AnswerError::Broken(cause)) => return Err(unanswered(&cause)),
                Err(error) => return Err(self.refused(&error.to_string())),
            };
            let answer = serde_json::from_slice::<BatchResponse>(&body).ok();
            return answer
                .map(|answer| answer.results)
                .filter(|results| results.len() == batch.locations.len())
                .ok_or_else(|| {
                    self.refused(&format!(
                        "a response that is not Tallycast's: {}",
                        shown(&body)
                    ))
                });
        }
        let what = describe_refusal(response).await;
        let is_temporary = status.is_server_error()
            || matches!(
                status,
                StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
            );
        Err(if is_temporary {
            AttemptError::Temporary { what, pause }
        } else {
            self.refused(&what)
        })
    }

    fn shown_url(&self) -> UrlText {
        UrlText::new(self.events_url.as_str())
    }

    fn refused(&self, answer: &str) -> AttemptError {
        AttemptError::Permanent(SendError::Refused {
            url: self.shown_url(),
            answer: answer.to_owned(),
        })
    }
}

fn events_url(to: &UrlText) -> Result<Url, SendError> {
    let bad = |cause: &str| SendError::Url {
        url: to.clone(),
        cause: cause.to_owned(),
    };
    let mut url = Url::parse(to.expose()).map_err(|error| bad(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(bad("it does not start with http:// or https://"));
    }
    url.set_query(None);
    url.set_fragment(None);
    url.path_segments_mut()
        .map_err(|()| bad("it has no path"))?
        .pop_if_empty()
        .extend(["v1", "events"]);
    Ok(url)
}

/// No response, or an incomplete one. Whether the batch was recorded is unknown; sending it again settles that.
fn unanswered(cause: &str) -> AttemptError {
    AttemptError::Temporary {
        what: format!("the server does not answer ({cause})"),
        pause: None,
    }
}

/// Between half of `pause` and all of it, so that producers do not retry at the same time.
fn jittered(pause: Duration) -> Duration {
    // If this fails there is no jitter, which is acceptable.
    let random = getrandom::u32().unwrap_or(u32::MAX);
    pause / 2 + (pause / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_events_url_keeps_the_path_of_the_server_url() {
        let url = |to: &str| events_url(&UrlText::new(to)).unwrap().to_string();
        assert_eq!(
            url("http://127.0.0.1:3000"),
            "http://127.0.0.1:3000/v1/events"
        );
        assert_eq!(
            url("https://shop.example/live/"),
            "https://shop.example/live/v1/events"
        );
        for bad in ["127.0.0.1:3000", "localhost:3000", "ftp://a", "", "http://"] {
            assert!(events_url(&UrlText::new(bad)).is_err(), "{bad}");
        }
    }
}
