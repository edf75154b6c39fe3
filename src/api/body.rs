use std::{fmt, io::Read};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::{
    HeaderMap, HeaderName,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{cloudevents, problem::Problem};
use crate::domain::{Event, Invalid};

/// The most bytes of a body, as sent and after decompression: what a thousand usual events need, ten
/// times over.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The most events of one body: what one commit of the ledger carries well.
const EVENTS_MAX: usize = 1_000;

/// How many times its size a gzipped body may grow. Deflate reaches 1,032; events that differ in
/// nothing but their id stay below 100.
const GZIP_RATIO_MAX: usize = 250;

/// What a gzipped body may grow to whatever its ratio: too little to do harm.
const GZIP_BYTES_FREE: usize = 64 * 1024;

/// From this size on, a body is decompressed and parsed beside the event loop: it takes over a
/// millisecond, in which no client of this worker thread would get anything.
const INLINE_BYTES_MAX: usize = 128 * 1024;

/// What a body reports, each event by itself: a bad one does not keep the others from being recorded.
pub(super) struct Reported {
    pub(super) events: Vec<Result<Event, Invalid>>,
    /// Whether it is one event, to be answered by a status, and not a batch, to be answered by a list.
    pub(super) is_single: bool,
}

/// Reads the whole body, so that nothing is recorded of one that breaks off.
pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Reported, Problem> {
    let form = Form::of(headers)?;
    let gzipped = is_gzipped(headers)?;
    let bytes = collect(body, BODY_BYTES_MAX).await?;
    if !gzipped && bytes.len() <= INLINE_BYTES_MAX {
        return parse(&form, &bytes);
    }
    let parsing = tokio::task::spawn_blocking(move || {
        let bytes = if gzipped { gunzip(&bytes)? } else { bytes };
        parse(&form, &bytes)
    });
    match parsing.await {
        Ok(parsed) => parsed,
        Err(stopped) => match stopped.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Problem::closing()),
        },
    }
}

/// Reads a body that is one JSON document of at most `bytes_max`, and not compressed.
pub(crate) async fn read_json(
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
) -> Result<Bytes, Problem> {
    if is_gzipped(headers)? || !matches!(Form::of(headers)?, Form::Json) {
        return Err(Problem::unsupported(
            "unsupported_media_type",
            "send application/json, not compressed",
        ));
    }
    collect(body, bytes_max).await
}

/// How the events are written down.
enum Form {
    /// An object, or an array of them.
    Json,
    /// An object a line.
    Lines,
    /// One `CloudEvent`, all of it in the body.
    CloudEvent,
    /// An array of those.
    CloudEvents,
    /// One `CloudEvent`, of which the body is the data.
    CloudEventData(Result<cloudevents::Context, Invalid>),
}

impl Form {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let media_type = sole(headers, CONTENT_TYPE)?.map(|value| {
            let essence = value.split(';').next().unwrap_or_default();
            essence.trim().to_ascii_lowercase()
        });
        match media_type.as_deref() {
            Some("application/cloudevents+json") => Ok(Self::CloudEvent),
            Some("application/cloudevents-batch+json") => Ok(Self::CloudEvents),
            Some("application/json") | None if cloudevents::is_binary(headers) => {
                Ok(Self::CloudEventData(cloudevents::Context::of(headers)))
            }
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

fn is_gzipped(headers: &HeaderMap) -> Result<bool, Problem> {
    let encoding = sole(headers, CONTENT_ENCODING)?.map(str::to_ascii_lowercase);
    match encoding.as_deref() {
        None | Some("identity") => Ok(false),
        Some("gzip" | "x-gzip") => Ok(true),
        Some(_) => Err(Problem::unsupported(
            "unsupported_encoding",
            "the only Content-Encoding taken is gzip, once",
        )),
    }
}

/// The value of a header that must not be there twice.
fn sole(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(&name).iter();
    let (value, None) = (values.next(), values.next()) else {
        return Err(bad_header(&name));
    };
    let text = value.map(|value| value.to_str().map(str::trim));
    text.transpose().map_err(|_| bad_header(&name))
}

fn bad_header(name: &HeaderName) -> Problem {
    Problem::bad_request(
        "invalid_header",
        format!("the header {name} must be there once at the most, in ASCII"),
    )
}

async fn collect(body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let too_large = || {
        Problem::too_large(
            "body_too_large",
            format!("a body has at most {bytes_max} bytes here; send several"),
        )
    };
    // What is announced as too long is not read at all.
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(too_large());
    }
    match Limited::new(body, bytes_max).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => Err(Problem::bad_request(
            "incomplete_body",
            "the body broke off; nothing was recorded, send it again",
        )),
    }
}

fn gunzip(bytes: &[u8]) -> Result<Bytes, Problem> {
    let allowed = bytes
        .len()
        .saturating_mul(GZIP_RATIO_MAX)
        .clamp(GZIP_BYTES_FREE, BODY_BYTES_MAX);
    let mut plain = Vec::new();
    // One byte more than allowed tells too much from just enough.
    MultiGzDecoder::new(bytes)
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
    Ok(plain.into())
}

fn parse(form: &Form, bytes: &[u8]) -> Result<Reported, Problem> {
    match form {
        Form::Lines => many(lines(bytes), Event::from_json),
        Form::CloudEvents => many(Items::of(bytes)?.found, cloudevents::structured),
        Form::Json if first_sign(bytes) == Some(b'[') => {
            many(Items::of(bytes)?.found, Event::from_json)
        }
        _ if first_sign(bytes).is_none() => Err(Problem::bad_request(
            "empty_body",
            "the body is empty; send an event as JSON",
        )),
        Form::Json => Ok(one(Event::from_json(bytes))),
        Form::CloudEvent => Ok(one(cloudevents::structured(bytes))),
        Form::CloudEventData(context) => Ok(one(context
            .clone()
            .and_then(|context| cloudevents::binary(context, bytes)))),
    }
}

fn one(event: Result<Event, Invalid>) -> Reported {
    Reported {
        events: vec![event],
        is_single: true,
    }
}

fn many<'a>(
    items: impl IntoIterator<Item = &'a [u8]>,
    event: fn(&[u8]) -> Result<Event, Invalid>,
) -> Result<Reported, Problem> {
    let mut items = items.into_iter();
    let events = items.by_ref().take(EVENTS_MAX).map(event).collect();
    if items.next().is_some() {
        return Err(Problem::too_large(
            "too_many_events",
            "a body has at most 1,000 events; send several",
        ));
    }
    Ok(Reported {
        events,
        is_single: false,
    })
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
}

fn first_sign(bytes: &[u8]) -> Option<u8> {
    bytes.trim_ascii_start().first().copied()
}

/// The items of a JSON array, unparsed; one more than allowed at the most, and the rest only skimmed, so
/// that an array of two million zeros costs no more than its bytes.
struct Items<'a> {
    found: Vec<&'a [u8]>,
}

impl<'a> Items<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self, Problem> {
        serde_json::from_slice(bytes).map_err(|error| {
            Problem::bad_request(
                "malformed_json",
                format!("the body is no JSON array: {error}"),
            )
        })
    }
}

impl<'de> Deserialize<'de> for Items<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seen;
        impl<'de> Visitor<'de> for Seen {
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
        deserializer.deserialize_seq(Seen)
    }
}
