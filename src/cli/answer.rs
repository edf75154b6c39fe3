//! A server's answers: read up to a limit, and described in a few words if they are refusals.

use std::time::Duration;

use reqwest::{Response, StatusCode, header::RETRY_AFTER};
use serde::Deserialize;

use super::output::shortened;

/// The longest answer that is read. The longest that Tallycast gives is a page of 200 entries of at most 16 KiB and a
/// few added fields: about half of this. A server that sends more is another one, or hostile.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The most characters that are shown of a refusal: Tallycast's own are shorter.
const REFUSAL_CHARS_MAX: usize = 500;

/// The longest `Retry-After` that is honoured.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// Why an answer could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum AnswerError {
    /// The connection broke; another attempt may succeed.
    #[error("{0}")]
    Broken(String),
    #[error(
        "the answer is longer than {} MiB, so it is not Tallycast's: check the URL",
        ANSWER_BYTES_MAX / 1024 / 1024
    )]
    TooLong,
}

/// Reads the body of an answer.
pub(super) async fn read_answer(mut response: Response) -> Result<Vec<u8>, AnswerError> {
    let mut body = Vec::new();
    loop {
        let chunk = response.chunk().await;
        let chunk = chunk.map_err(|error| AnswerError::Broken(cause(error)))?;
        let Some(chunk) = chunk else {
            return Ok(body);
        };
        if chunk.len() > ANSWER_BYTES_MAX - body.len() {
            return Err(AnswerError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
}

/// Reads an answer with another status than the expected ones, and describes it.
pub(super) async fn describe_refusal(response: Response) -> String {
    let status = response.status();
    match read_answer(response).await {
        Ok(body) => describe(status, &body),
        Err(error) => format!("{status} ({error})"),
    }
}

fn describe(status: StatusCode, body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct ServerProblem {
        code: String,
        detail: String,
    }
    let said = match serde_json::from_slice(body) {
        Ok(ServerProblem { code, detail }) => format!("{code}: {detail}"),
        Err(_) => shown(body),
    };
    match said.as_str() {
        "" => status.to_string(),
        said => format!("{status}, {}", shortened(said, REFUSAL_CHARS_MAX)),
    }
}

/// The start of an answer that is not Tallycast's.
pub(super) fn shown(body: &[u8]) -> String {
    shortened(&String::from_utf8_lossy(body), REFUSAL_CHARS_MAX)
}

/// The pause that the server asks for before the next attempt.
pub(super) fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(RETRY_AFTER)?;
    let seconds = value.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

/// The innermost cause, which is the most specific one. The user knows the URL.
pub(super) fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_described_by_its_code_or_by_its_start() {
        let busy = |body: &str| describe(StatusCode::SERVICE_UNAVAILABLE, body.as_bytes());
        assert_eq!(
            busy(r#"{ "code": "busy", "detail": "try again" }"#),
            "503 Service Unavailable, busy: try again"
        );
        assert_eq!(busy(""), "503 Service Unavailable");
        assert_eq!(busy("<html>"), "503 Service Unavailable, <html>");
        let long = busy(&"a".repeat(10_000));
        assert!(long.len() < 600 && long.ends_with('…'), "{long}");
    }
}
