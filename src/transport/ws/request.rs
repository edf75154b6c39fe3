//! What a client may ask, and how it is answered.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    domain::{Invalid, from_object},
    feed::Feed,
};

/// The longest request, in bytes: its largest part is a token.
pub(super) const REQUEST_BYTES_MAX: usize = 16 * 1024;
/// One request. It has no `Debug`: there may be a token in it.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Request {
    /// Go on with a new token of the same subject.
    Authenticate { token: String, id: Option<Value> },
    /// Older entries, newest first.
    History {
        before: Option<u64>,
        limit: Option<usize>,
        id: Option<Value>,
    },
    /// Is anybody there?
    Ping { id: Option<Value> },
}

impl Request {
    /// # Errors
    /// `malformed` for what is no JSON object, `bad_request` for what asks nothing that we know.
    pub(super) fn parse(text: &str) -> Result<Self, Invalid> {
        let request: Self = from_object(text.as_bytes()).map_err(|error| {
            // The error's own text may quote what stands there: a token, perhaps.
            if error.is_data() {
                let message = "the type is authenticate, history or ping, with the fields of that";
                Invalid::new("bad_request", message)
            } else {
                Invalid::new("malformed", "send one JSON object a frame")
            }
        })?;
        if let Self::History {
            limit: Some(limit), ..
        } = &request
            && !(1..=Feed::HISTORY_MAX).contains(limit)
        {
            return Err(Invalid::new("bad_request", "limit is 1 to 200"));
        }
        Ok(request)
    }

    pub(super) fn history_limit(limit: Option<usize>) -> usize {
        limit.unwrap_or(Feed::HISTORY_DEFAULT)
    }
}

/// An answer to a request; `id` is what the request had.
#[derive(Serialize)]
pub(super) struct Answer<T> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Value>,
    ok: bool,
    #[serde(flatten)]
    content: T,
}

#[derive(Serialize)]
struct Refused<'a> {
    code: &'a str,
    message: &'a str,
}

/// Done: the answer with what there is to say.
pub(super) fn done(of: &'static str, id: Option<Value>, content: impl Serialize) -> String {
    encode(&Answer {
        r#type: of,
        id,
        ok: true,
        content,
    })
}

/// Not done, and why.
pub(super) fn refused(code: &str, message: &str, of: &'static str, id: Option<Value>) -> String {
    encode(&Answer {
        r#type: of,
        id,
        ok: false,
        content: Refused { code, message },
    })
}

/// The answer to what is no request.
pub(super) fn no_request(invalid: &Invalid) -> String {
    refused(invalid.code(), invalid.message(), "error", None)
}

fn encode(answer: &impl Serialize) -> String {
    serde_json::to_string(answer).expect("answers have only strings as keys")
}
