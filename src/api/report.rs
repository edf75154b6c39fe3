//! The body of `POST /v1/events`: its forms, its bounds, and the events in it.

use std::{fmt, io::Read};

use axum::body::Body;
use flate2::read::MultiGzDecoder;
use http::HeaderMap;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::cloudevents;
use crate::{
    domain::{Event, Invalid},
    http::{Problem, ReceivedBody, content_type, is_gzipped, read as read_body},
    quota::HeldBytes,
};

/// The largest body in bytes, as sent and after decompression: ten times what a thousand typical events need.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The most events in one body: as many as fit well into one commit.
const EVENTS_MAX: usize = 1_000;

/// The largest ratio of decompression. Deflate reaches 1,032; events that differ only in their id stay
/// below 100.
const GZIP_RATIO_MAX: usize = 250;

/// The decompressed size in bytes up to which any ratio is accepted: too small to do harm.
const GZIP_BYTES_FREE: usize = 64 * 1024;

/// Larger bodies, and compressed ones, are decompressed and parsed on a blocking thread. They take over a
/// millisecond, in which this worker thread would serve no client.
const INLINE_BYTES_MAX: usize = 128 * 1024;

/// The events of a body, each valid or refused on its own: an invalid one does not prevent the others from being
/// recorded.
pub(super) struct EventReport {
    pub(super) events: Vec<Result<Event, Invalid>>,
    /// Whether it is one event, answered with a status, or a batch, answered with a list.
    pub(super) is_single: bool,
    /// The body counts until its events are recorded.
    pub(super) held: HeldBytes,
}

type ParsedEvents = (Vec<Result<Event, Invalid>>, bool);

/// Reads the whole body first, so that nothing is recorded from an incomplete one.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    held: HeldBytes,
) -> Result<EventReport, Problem> {
    let form = Form::of(headers)?;
    let gzipped = is_gzipped(headers)?;
    let body = read_body(body, BODY_BYTES_MAX, held).await?;
    if !gzipped && body.len() <= INLINE_BYTES_MAX {
        return parse(&form, body);
    }
    let parsing = tokio::task::spawn_blocking(move || {
        let body = if gzipped { gunzip(body)? } else { body };
        parse(&form, body)
    });
    match parsing.await {
        Ok(parsed) => parsed,
        Err(stopped) => match stopped.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Problem::closing()),
        },
    }
}

/// How the events are encoded.
enum Form {
    /// An object, or an array of them.
    Json,
    /// One object per line.
    Lines,
    /// One `CloudEvent` in structured mode: all of it is in the body.
    CloudEvent,
    /// An array of structured `CloudEvents`.
    CloudEvents,
    /// One `CloudEvent` in binary mode: the body is its data.
    CloudEventData(Result<cloudevents::CloudEvent, Invalid>),
}

impl Form {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        match content_type(headers)?.as_deref() {
            Some("application/cloudevents+json") => Ok(Self::CloudEvent),
            Some("application/cloudevents-batch+json") => Ok(Self::CloudEvents),
            Some("application/json") | None if cloudevents::is_binary(headers) => Ok(
                Self::CloudEventData(cloudevents::CloudEvent::from_headers(headers)),
            ),
            Some("application/json") | None => Ok(Self::Json),
            Some("application/x-ndjson" | "application/ndjson" | "application/jsonl") => {
                Ok(Self::Lines)
            }
            Some(_) => Err(Problem::unsupported(
                "unsupported_media_type",
                "send application/json, application/x-ndjson, application/cloudevents+json or \
                 application/cloudevents-batch+json",
            )),
        }
    }
}

fn gunzip(body: ReceivedBody) -> Result<ReceivedBody, Problem> {
    let ReceivedBody { bytes, mut held } = body;
    let allowed = bytes
        .len()
        .saturating_mul(GZIP_RATIO_MAX)
        .clamp(GZIP_BYTES_FREE, BODY_BYTES_MAX);
    held.resize(bytes.len() + allowed)?;
    let mut plain = Vec::new();
    // One byte more than allowed distinguishes a body that is too large from one that just fits.
    MultiGzDecoder::new(&*bytes)
        .take(allowed as u64 + 1)
        .read_to_end(&mut plain)
        .map_err(|_| {
            Problem::bad_request("malformed_gzip", "the body is not gzip, or breaks off")
        })?;
    if plain.len() > allowed {
        return Err(Problem::too_large(
            "body_too_large",
            "a body has at most 4 MiB, and 250 times its size, once decompressed; send several",
        ));
    }
    held.resize(plain.len())?;
    let bytes = plain.into();
    Ok(ReceivedBody { bytes, held })
}

fn parse(form: &Form, body: ReceivedBody) -> Result<EventReport, Problem> {
    let ReceivedBody { bytes, held } = body;
    let (events, is_single) = parse_events(form, &bytes)?;
    Ok(EventReport {
        events,
        is_single,
        held,
    })
}

/// The events, and whether it is one that is no batch.
fn parse_events(form: &Form, bytes: &[u8]) -> Result<ParsedEvents, Problem> {
    match form {
        Form::Lines => many(lines(bytes), Event::from_json),
        Form::CloudEvents => many(Items::of(bytes)?.found, cloudevents::structured),
        Form::Json if first_byte(bytes) == Some(b'[') => {
            many(Items::of(bytes)?.found, Event::from_json)
        }
        _ if first_byte(bytes).is_none() => Err(Problem::bad_request(
            "empty_body",
            "the body is empty; send an event as JSON",
        )),
        Form::Json => Ok(one(Event::from_json(bytes))),
        Form::CloudEvent => Ok(one(cloudevents::structured(bytes))),
        Form::CloudEventData(event) => Ok(one(event
            .clone()
            .and_then(|event| cloudevents::binary(event, bytes)))),
    }
}

fn one(event: Result<Event, Invalid>) -> ParsedEvents {
    (vec![event], true)
}

fn many<'a>(
    items: impl IntoIterator<Item = &'a [u8]>,
    event: fn(&[u8]) -> Result<Event, Invalid>,
) -> Result<ParsedEvents, Problem> {
    let mut items = items.into_iter();
    let events = items.by_ref().take(EVENTS_MAX).map(event).collect();
    if items.next().is_some() {
        return Err(Problem::too_large(
            "too_many_events",
            "a body has at most 1,000 events; send several",
        ));
    }
    Ok((events, false))
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
}

fn first_byte(bytes: &[u8]) -> Option<u8> {
    bytes.trim_ascii_start().first().copied()
}

/// The items of a JSON array, unparsed. It holds at most one item more than allowed and skips the rest, so that
/// an array of two million zeros costs no more than its bytes.
struct Items<'a> {
    found: Vec<&'a [u8]>,
}

impl<'a> Items<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self, Problem> {
        serde_json::from_slice(bytes).map_err(|error| {
            Problem::bad_request(
                "malformed_json",
                format!("the body is not a JSON array: {error}"),
            )
        })
    }
}

impl<'de> Deserialize<'de> for Items<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ItemsVisitor;
        impl<'de> Visitor<'de> for ItemsVisitor {
            type Value = Items<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of events")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Items<'de>, A::Error> {
                let mut found = Vec::new();
                while found.len() <= EVENTS_MAX {
                    let Some(item) = items.next_element::<&RawValue>()? else {
                        return Ok(Items { found });
                    };
                    found.push(item.get().as_bytes());
                }
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Items { found })
            }
        }
        deserializer.deserialize_seq(ItemsVisitor)
    }
}
