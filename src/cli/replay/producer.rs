use std::time::Duration;

use reqwest::{Client, Response, StatusCode, Url, header};
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use super::{progress::Progress, row::RowEvent, table::Place, tally::ItemResult};

/// The most events of one request: half of what the server takes, and durable in one commit.
const BATCH_EVENTS_MAX: usize = 500;
/// The most bytes of one request: below the server's 4 MiB.
const BATCH_BYTES_MAX: usize = 3 * 1024 * 1024;
/// How long a server may take to take a connection, and to answer a batch.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The first pause before another try, which doubles from try to try …
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// … up to this: a server that is back should not wait long for its producer.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// The longest `Retry-After` that is honoured.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);
/// What is shown at most of an answer that is not understood.
const ANSWER_CHARS_SHOWN: usize = 200;

/// Events that are sent together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    places: Vec<Place>,
    /// NDJSON.
    body: String,
}

impl Batch {
    pub(super) fn push(&mut self, event: RowEvent) {
        self.places.push(event.place);
        self.body.push_str(&event.json);
        self.body.push('\n');
    }

    pub(super) fn has_room_for(&self, event: &RowEvent) -> bool {
        self.places.len() < BATCH_EVENTS_MAX && self.body.len() + event.json.len() < BATCH_BYTES_MAX
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = Place> {
        self.places.iter().copied()
    }

    pub(super) fn clear(&mut self) {
        self.places.clear();
        self.body.clear();
    }
}

/// Sends batches to a server, again and again until it has answered.
///
/// A batch whose answer was lost is sent again as it is: what was recorded is a duplicate then.
#[derive(Debug)]
pub(super) struct Producer {
    client: Client,
    events_url: Url,
    token: header::HeaderValue,
    retry_for: Duration,
}

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("`{url}` is no address of a server: {cause}; write it as http://127.0.0.1:3000")]
    Url { url: String, cause: String },
    #[error("the token is no token: it has signs that a header cannot hold")]
    Token,
    #[error("no HTTPS or HTTP client can be set up: {0}")]
    Client(reqwest::Error),
    #[error("{url} refused: {answer}")]
    Refused { url: Url, answer: String },
    #[error(
        "{url} did not take the events for {seconds} s: {last}. Start it again, then this command: it goes \
         on from here"
    )]
    GaveUp {
        url: Url,
        seconds: u64,
        last: String,
    },
}

/// Why one try failed.
enum Failure {
    /// The next one may not.
    Passing {
        what: String,
        pause: Option<Duration>,
    },
    Final(SendError),
}

#[derive(Deserialize)]
struct BatchAnswer {
    results: Vec<ItemResult>,
}

#[derive(Deserialize)]
struct ProblemAnswer {
    code: String,
    detail: String,
}

impl Producer {
    /// `retry_for`: how long one batch is tried again without an answer.
    pub(super) fn new(to: &str, token: &str, retry_for: Duration) -> Result<Self, SendError> {
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

    /// Sends a batch and answers with a result per event, in order.
    pub(super) async fn send(
        &mut self,
        batch: &Batch,
        progress: &Progress,
    ) -> Result<Vec<ItemResult>, SendError> {
        let give_up_at = Instant::now() + self.retry_for;
        let mut pause = PAUSE_MIN;
        let mut is_told = false;
        loop {
            let (what, asked) = match self.attempt(batch).await {
                Ok(results) => return Ok(results),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Passing { what, pause }) => (what, pause),
            };
            let wait = asked.unwrap_or_else(|| jittered(pause));
            if Instant::now() + wait > give_up_at {
                return Err(SendError::GaveUp {
                    url: self.events_url.clone(),
                    seconds: self.retry_for.as_secs(),
                    last: what,
                });
            }
            if !is_told {
                progress.note(&format!("{what}; trying on"));
                is_told = true;
            }
            sleep(wait).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn attempt(&self, batch: &Batch) -> Result<Vec<ItemResult>, Failure> {
        let response = self
            .client
            .post(self.events_url.clone())
            .header(header::AUTHORIZATION, &self.token)
            .header(header::CONTENT_TYPE, "application/x-ndjson")
            .body(batch.body.clone())
            .send()
            .await
            .map_err(|error| unanswered(&error))?;
        let status = response.status();
        let pause = retry_after(&response);
        let text = response.text().await.map_err(|error| unanswered(&error))?;
        if status == StatusCode::OK {
            let answer = serde_json::from_str::<BatchAnswer>(&text).ok();
            return answer
                .map(|answer| answer.results)
                .filter(|results| results.len() == batch.places.len())
                .ok_or_else(|| {
                    self.refused(&format!(
                        "an answer that Tallycast does not give: {}",
                        shown(&text)
                    ))
                });
        }
        let what = describe(status, &text);
        let is_passing = status.is_server_error()
            || matches!(
                status,
                StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
            );
        Err(if is_passing {
            Failure::Passing { what, pause }
        } else {
            self.refused(&what)
        })
    }

    fn refused(&self, answer: &str) -> Failure {
        Failure::Final(SendError::Refused {
            url: self.events_url.clone(),
            answer: answer.to_owned(),
        })
    }
}

fn events_url(to: &str) -> Result<Url, SendError> {
    let bad = |cause: &str| SendError::Url {
        url: to.to_owned(),
        cause: cause.to_owned(),
    };
    let mut url = Url::parse(to).map_err(|error| bad(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(bad("it does not begin with http:// or https://"));
    }
    url.set_query(None);
    url.set_fragment(None);
    url.path_segments_mut()
        .map_err(|()| bad("it has no path"))?
        .pop_if_empty()
        .extend(["v1", "events"]);
    Ok(url)
}

/// No answer, or half of one: what became of the batch is unknown, and a repetition settles it.
fn unanswered(error: &reqwest::Error) -> Failure {
    // The innermost cause is the one that says what happened.
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    Failure::Passing {
        what: format!("the server does not answer ({cause})"),
        pause: None,
    }
}

fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(header::RETRY_AFTER)?;
    let seconds = value.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).clamp(PAUSE_MIN, RETRY_AFTER_MAX))
}

fn describe(status: StatusCode, text: &str) -> String {
    match serde_json::from_str::<ProblemAnswer>(text) {
        Ok(problem) => format!("{status}, {}: {}", problem.code, problem.detail),
        Err(_) => format!("{status} {}", shown(text)),
    }
}

fn shown(text: &str) -> String {
    let line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    line.take(ANSWER_CHARS_SHOWN).collect()
}

/// Between half and all of `pause`, so that producers do not come back in step.
fn jittered(pause: Duration) -> Duration {
    // Without randomness an even pause is good enough.
    let random = getrandom::u32().unwrap_or(u32::MAX);
    pause / 2 + (pause / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_go_below_the_address_whatever_its_path() {
        let url = |to: &str| events_url(to).unwrap().to_string();
        assert_eq!(
            url("http://127.0.0.1:3000"),
            "http://127.0.0.1:3000/v1/events"
        );
        assert_eq!(
            url("https://shop.example/live/"),
            "https://shop.example/live/v1/events"
        );
        for bad in ["127.0.0.1:3000", "localhost:3000", "ftp://a", "", "http://"] {
            assert!(events_url(bad).is_err(), "{bad}");
        }
    }
}
