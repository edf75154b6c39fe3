//! Requests from a client, and their answers.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    domain::{Invalid, from_object},
    feed::{BadOption, parse_limit},
};

/// The longest request, in bytes. Its largest part is a token.
pub(super) const REQUEST_BYTES_MAX: usize = 16 * 1024;

/// One request. It has no `Debug`, because it may hold a token.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum ClientRequest {
    /// Continue with a new token of the same subject.
    Authenticate { token: String, id: Option<Value> },
    /// Older entries, newest first.
    History {
        before: Option<u64>,
        limit: Option<u64>,
        id: Option<Value>,
    },
    /// Answered with `pong`.
    Ping { id: Option<Value> },
}

impl ClientRequest {
    /// Parses a text frame.
    ///
    /// # Errors
    /// `malformed` if the text is not a JSON object, `bad_request` if it is not a known request.
    pub(super) fn parse(text: &str) -> Result<Self, Invalid> {
        let request: Self = from_object(text.as_bytes()).map_err(|error| {
            // The error's own text may quote the request, which may hold a token.
            if error.is_data() {
                let message = "the type is authenticate, history or ping, with its own fields";
                Invalid::new("bad_request", message)
            } else {
                Invalid::new("malformed", "send one JSON object a frame")
            }
        })?;
        Ok(request)
    }
}

/// How many entries a page of history holds.
///
/// # Errors
/// `bad_request` if the limit is out of bounds.
pub(super) fn history_limit(limit: Option<u64>) -> Result<usize, Invalid> {
    parse_limit(limit).map_err(|BadOption(message)| Invalid::new("bad_request", message))
}

/// An answer to a request, with the request's `id`.
#[derive(Serialize)]
struct ClientAnswer<T> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Value>,
    ok: bool,
    #[serde(flatten)]
    content: T,
}

#[derive(Serialize)]
struct RefusedRequest<'a> {
    code: &'a str,
    message: &'a str,
}

/// A successful answer.
pub(super) fn done(of: &'static str, id: Option<Value>, content: impl Serialize) -> String {
    encode(&ClientAnswer {
        r#type: of,
        id,
        ok: true,
        content,
    })
}

/// An answer that says why the request was refused.
pub(super) fn refused(code: &str, message: &str, of: &'static str, id: Option<Value>) -> String {
    encode(&ClientAnswer {
        r#type: of,
        id,
        ok: false,
        content: RefusedRequest { code, message },
    })
}

/// The answer to a text that is not a valid request.
pub(super) fn invalid_request(invalid: &Invalid) -> String {
    refused(invalid.code(), invalid.message(), "error", None)
}

fn encode(answer: &impl Serialize) -> String {
    serde_json::to_string(answer).expect("answers have only strings as keys")
}
