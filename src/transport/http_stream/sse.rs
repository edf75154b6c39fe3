//! Server-Sent Events (WHATWG HTML, section 9.2), for a browser's `EventSource`.

use axum::{extract::State, response::Response};
use bytes::Bytes;
use http::HeaderMap;

use super::{
    body::respond_past_http,
    format::{StreamFormat, concat},
};
use crate::{
    http::{Problem, invalid_query},
    transport::{follow::FollowRequest, state::TransportState},
};

/// How long a client should wait before it reconnects, in milliseconds.
const RETRY_MS: u32 = 1_000;

/// `GET /v1/feeds/{account}/sse`. Each event's id is the position, so a client that reconnects by itself resumes
/// where it was.
pub(crate) async fn follow(
    State(state): State<TransportState>,
    request: FollowRequest,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut request = request.without_callback()?;
    // The address of a client that reconnects by itself may be as old as its last start.
    let in_address = request.event_source.last_event_id.take();
    let last = last_event_id(&headers)?.or(in_address.filter(|last| !last.is_empty()));
    if last.is_some() {
        request.options.after = last;
    }
    let follower = request.follow(&state);
    Ok(respond_past_http::<Sse>(follower, state))
}

/// The id of the last event that the browser received. It is newer than the position in the URL, which is as old as
/// the page.
fn last_event_id(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all("last-event-id").iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return match headers.contains_key("last-event-id") {
            true => Err(invalid_query("Last-Event-ID is repeated")),
            false => Ok(None),
        };
    };
    let last = String::from_utf8_lossy(value.as_bytes()).into_owned();
    Ok(Some(last).filter(|last| !last.is_empty()))
}

#[derive(Default)]
struct Sse;

impl StreamFormat for Sse {
    const CONTENT_TYPE: &str = "text/event-stream";

    /// Without an empty line: it would end an event, and some clients report an event without data.
    fn prelude(&self) -> Bytes {
        format!("retry: {RETRY_MS}\n").into()
    }

    fn message(&self, name: &str, json: &str, position: Option<&str>) -> Bytes {
        // Our JSON has no line break, which would end the field.
        match position {
            Some(position) => concat(&[
                "id: ",
                position,
                "\nevent: ",
                name,
                "\ndata: ",
                json,
                "\n\n",
            ]),
            None => concat(&["event: ", name, "\ndata: ", json, "\n\n"]),
        }
    }

    /// Without an empty line, for the same reason.
    fn keep_alive(&self) -> Bytes {
        Bytes::from_static(b": still here\n")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Default, PartialEq, Eq)]
    struct Event {
        id: String,
        name: String,
        data: String,
    }

    /// The parser of WHATWG HTML, section 9.2.6: the events that a browser dispatches.
    fn parse(stream: &str) -> Vec<Event> {
        let stream = stream.strip_prefix('\u{feff}').unwrap_or(stream);
        let lines = stream.replace("\r\n", "\n").replace('\r', "\n");
        let (mut events, mut event, mut id) = (Vec::new(), Event::default(), String::new());
        // The text after the last line break is an incomplete line, which is ignored.
        let (lines, _) = lines.rsplit_once('\n').unwrap_or_default();
        for line in lines.split('\n') {
            if line.is_empty() {
                let mut done = std::mem::take(&mut event);
                if done.data.pop().is_some() {
                    done.id.clone_from(&id);
                    events.push(done);
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut event.name),
                "data" => event.data.extend([value, "\n"]),
                "id" if !value.contains('\0') => value.clone_into(&mut id),
                _ => {}
            }
        }
        events
    }

    proptest! {
        #[test]
        fn a_browsers_parser_returns_any_text_unchanged(
            texts in prop::collection::vec(
                prop_oneof![any::<String>(), "[\r\n:\u{85}\u{2028}\u{feff}\0 a-z]{0,20}"],
                1..5,
            ),
        ) {
            let jsons = texts.iter().map(|text| json!({ "type": "update", "d": text }).to_string());
            let jsons: Vec<String> = jsons.collect();
            let mut stream = Sse.prelude().to_vec();
            for (n, json) in jsons.iter().enumerate() {
                stream.extend(Sse.keep_alive());
                stream.extend(Sse.message("update", json, Some(&n.to_string())));
            }
            stream.extend(Sse.message("closing", "{}", None));
            let mut expected: Vec<Event> = jsons.into_iter().enumerate().map(|(n, data)| Event {
                id: n.to_string(),
                name: "update".to_owned(),
                data,
            }).collect();
            // An event without an id keeps the last one.
            expected.push(Event {
                id: (texts.len() - 1).to_string(),
                name: "closing".to_owned(),
                data: "{}".to_owned(),
            });
            prop_assert_eq!(parse(std::str::from_utf8(&stream).unwrap()), expected);
        }
    }
}
