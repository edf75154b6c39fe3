use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode, Url, header};
use tokio::time::{Instant, sleep};

use super::progress::ReplayProgress;
use crate::cli::{
    answer::{AnswerError, cause, describe_refusal, read_answer, retry_after},
    redact::UrlText,
};

/// How long a server may take to accept a connection, and to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The pause before the first retry. It doubles with each retry …
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// … up to this, so that a server that is back soon receives events again.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// The server to which a file is replayed.
#[derive(Debug)]
pub(super) struct ReplayServer {
    client: Client,
    url: Url,
    token: header::HeaderValue,
    retry_for: Duration,
}

/// Why a server did not do what it was asked.
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
        "{url} did not {deed} for {seconds} s: {last}. Once the server is back, run the same command again: it \
         continues from here"
    )]
    GaveUp {
        url: UrlText,
        deed: &'static str,
        seconds: u64,
        last: String,
    },
}

/// A request that is sent until it is answered.
pub(super) struct ReplayRequest {
    pub(super) request: RequestBuilder,
    pub(super) url: Url,
    /// What the server is to do, for errors: `take the events`.
    pub(super) deed: &'static str,
}

impl ReplayRequest {
    /// Its URL, for errors.
    pub(super) fn shown_url(&self) -> UrlText {
        UrlText::new(self.url.as_str())
    }
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

impl ReplayServer {
    /// `retry_for`: how long a request is retried before giving up.
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
            url: server_url(to)?,
            token,
            retry_for,
        })
    }

    /// A request with the token, to a path below the server's URL.
    pub(super) fn request(
        &self,
        method: reqwest::Method,
        path: &[&str],
        deed: &'static str,
    ) -> ReplayRequest {
        let mut url = self.url.clone();
        let segments = url.path_segments_mut();
        segments
            .expect("it was checked to have a path")
            .extend(path);
        let request = self.client.request(method, url.clone());
        ReplayRequest {
            request: request.header(header::AUTHORIZATION, &self.token),
            url,
            deed,
        }
    }

    /// The body of the answer 200, or `None` if the answer is `expected`. Retries until there is an answer.
    pub(super) async fn answer(
        &self,
        request: ReplayRequest,
        expected: Option<StatusCode>,
        progress: &ReplayProgress,
    ) -> Result<Option<Vec<u8>>, SendError> {
        let start = Instant::now();
        let mut pause = PAUSE_MIN;
        let mut is_reported = false;
        loop {
            let (what, requested) = match attempt(&request, expected).await {
                Ok(answer) => return Ok(answer),
                Err(AttemptError::Permanent(error)) => return Err(error),
                Err(AttemptError::Temporary { what, pause }) => (what, pause),
            };
            let wait = requested.map_or_else(|| jittered(pause), |pause| pause.max(PAUSE_MIN));
            if start.elapsed() + wait > self.retry_for {
                return Err(SendError::GaveUp {
                    url: request.shown_url(),
                    deed: request.deed,
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
}

async fn attempt(
    request: &ReplayRequest,
    expected: Option<StatusCode>,
) -> Result<Option<Vec<u8>>, AttemptError> {
    let once = request.request.try_clone();
    let once = once.expect("its body is bytes, not a stream");
    let response = once
        .send()
        .await
        .map_err(|error| unanswered(&cause(error)))?;
    let refused = |answer| {
        let url = request.shown_url();
        AttemptError::Permanent(SendError::Refused { url, answer })
    };
    let (status, pause) = (response.status(), retry_after(&response));
    if status == StatusCode::OK {
        return match read_answer(response).await {
            Ok(body) => Ok(Some(body)),
            Err(AnswerError::Broken(cause)) => Err(unanswered(&cause)),
            Err(error) => Err(refused(error.to_string())),
        };
    }
    if expected == Some(status) {
        return Ok(None);
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
        refused(what)
    })
}

/// No response, or an incomplete one. Whether the server did what it was asked is unknown; a retry settles that.
fn unanswered(cause: &str) -> AttemptError {
    AttemptError::Temporary {
        what: format!("the server does not answer ({cause})"),
        pause: None,
    }
}

fn server_url(to: &UrlText) -> Result<Url, SendError> {
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
        .pop_if_empty();
    Ok(url)
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
    fn a_request_keeps_the_path_of_the_server_url() {
        let url = |to: &str| {
            let server = ReplayServer::new(&UrlText::new(to), "x", Duration::ZERO).unwrap();
            let request = server.request(reqwest::Method::GET, &["v1", "accounts", "a b"], "x");
            request.url.to_string()
        };
        assert_eq!(
            url("http://127.0.0.1:3000"),
            "http://127.0.0.1:3000/v1/accounts/a%20b"
        );
        assert_eq!(
            url("https://shop.example/live/"),
            "https://shop.example/live/v1/accounts/a%20b"
        );
        for bad in ["127.0.0.1:3000", "localhost:3000", "ftp://a", "", "http://"] {
            assert!(server_url(&UrlText::new(bad)).is_err(), "{bad}");
        }
    }
}
