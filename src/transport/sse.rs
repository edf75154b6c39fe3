//! Server-Sent Events (WHATWG HTML, section 9.2): what a browser's `EventSource` follows.

use axum::{extract::State, response::Response};
use bytes::Bytes;
use http::HeaderMap;

use super::{
    Transports,
    opening::{Opening, invalid},
    streamed::{self, Writes},
};
use crate::api::Problem;

/// How long a client should wait before it connects again, in milliseconds.
const RETRY_MS: u32 = 1_000;

/// `GET /v1/feeds/{account}/sse`. Each event's id is the position, so a client that reconnects by itself
/// goes on where it was.
pub(super) async fn follow(
    State(transports): State<Transports>,
    opening: Opening,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut opening = opening.without_callback()?;
    if let Some(last) = last_event_id(&headers)? {
        opening.options.after = Some(last);
    }
    Ok(streamed::respond(opening.follow(&transports), Sse))
}

/// What the browser got last: it knows better than the address, which is as old as the page.
fn last_event_id(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all("last-event-id").iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return match headers.contains_key("last-event-id") {
            true => Err(invalid("Last-Event-ID is there twice")),
            false => Ok(None),
        };
    };
    let last = String::from_utf8_lossy(value.as_bytes()).into_owned();
    Ok(Some(last).filter(|last| !last.is_empty()))
}

struct Sse;

impl Writes for Sse {
    const CONTENT_TYPE: &str = "text/event-stream";

    /// Without an empty line: it would end an event, and some clients hand out one that has no data.
    fn prelude(&self) -> Bytes {
        format!("retry: {RETRY_MS}\n").into()
    }

    fn message(&self, name: &str, json: &str, position: Option<&str>) -> Bytes {
        // JSON as we write it has no line break, which would end the field.
        match position {
            Some(position) => format!("id: {position}\nevent: {name}\ndata: {json}\n\n").into(),
            None => format!("event: {name}\ndata: {json}\n\n").into(),
        }
    }

    /// Without an empty line, for the same reason.
    fn keep_alive(&self) -> Bytes {
        Bytes::from_static(b": still here\n")
    }
}
