//! Request bodies: their media type, their size, and small JSON documents.

use std::{ops::Deref, time::Duration};

use axum::body::{Body, HttpBody};
use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use http_body_util::BodyExt;

use super::problem::Problem;
use crate::{
    deadline,
    quota::{HeldBytes, TooMany},
};

/// How long a whole body may take. The largest one then needs 70 KB a second, which any producer has.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// A long body is kept in parts of this size until it is complete.
const SEGMENT_BYTES: usize = 64 * 1024;

/// A body that was read. Its bytes count against the quotas until it is dropped.
pub(crate) struct ReceivedBody {
    pub(crate) bytes: Bytes,
    pub(crate) held: HeldBytes,
}

impl Deref for ReceivedBody {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads a body that is one JSON document of at most `bytes_max` bytes, and not compressed.
pub(crate) async fn read_json(
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
    held: HeldBytes,
) -> Result<ReceivedBody, Problem> {
    let is_json = |media_type: Option<String>| {
        matches!(media_type.as_deref(), None | Some("application/json"))
    };
    if is_gzipped(headers)? || !is_json(content_type(headers)?) {
        return Err(Problem::unsupported(
            "unsupported_media_type",
            "send application/json, not compressed",
        ));
    }
    Ok(read(body, bytes_max, held).await?)
}

/// The body's media type in lower case, without parameters.
pub(crate) fn content_type(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let media_type = single_header(headers, CONTENT_TYPE)?.map(|value| {
        let essence = value.split(';').next().unwrap_or_default();
        essence.trim().to_ascii_lowercase()
    });
    Ok(media_type)
}

pub(crate) fn is_gzipped(headers: &HeaderMap) -> Result<bool, Problem> {
    let encoding = single_header(headers, CONTENT_ENCODING)?.map(str::to_ascii_lowercase);
    match encoding.as_deref() {
        None | Some("identity") => Ok(false),
        Some("gzip" | "x-gzip") => Ok(true),
        Some(_) => Err(Problem::unsupported(
            "unsupported_encoding",
            "the only Content-Encoding accepted is gzip, once",
        )),
    }
}

/// The value of a header that must not be repeated.
fn single_header(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, Problem> {
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
        format!("send the header {name} at most once, in ASCII"),
    )
}

/// Reads a whole body of at most `bytes_max` bytes, which `held` is to hold.
///
/// Cancel-safe in that nothing stays held.
pub(crate) async fn read(
    body: Body,
    bytes_max: usize,
    held: HeldBytes,
) -> Result<ReceivedBody, BodyError> {
    match deadline::timeout(BODY_TIMEOUT, read_frames(body, bytes_max, held)).await {
        Ok(read) => read,
        Err(_) => Err(BodyError::TooSlow),
    }
}

async fn read_frames(
    mut body: Body,
    bytes_max: usize,
    mut held: HeldBytes,
) -> Result<ReceivedBody, BodyError> {
    // A body that is declared too long is not read at all, and one that does not fit is refused before it is sent.
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if declared > bytes_max {
        return Err(BodyError::TooLarge(bytes_max));
    }
    held.resize(declared)?;
    let mut segments = Segments::default();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| BodyError::Incomplete)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let length = segments.length + data.len();
        if length > bytes_max {
            return Err(BodyError::TooLarge(bytes_max));
        }
        if length > held.amount() {
            held.resize(length)?;
        }
        segments.push(data);
    }
    Ok(ReceivedBody {
        bytes: segments.join(),
        held,
    })
}

/// The bytes of a body so far.
///
/// One buffer for all would double each time it is full, and so take up to four times the bytes that the quotas count.
#[derive(Default)]
struct Segments {
    /// The only frame so far, not copied: most bodies are one.
    first: Bytes,
    full: Vec<BytesMut>,
    last: BytesMut,
    length: usize,
}

impl Segments {
    fn push(&mut self, data: Bytes) {
        if self.length == 0 {
            self.length = data.len();
            self.first = data;
            return;
        }
        self.length += data.len();
        let first = std::mem::take(&mut self.first);
        self.copy(&first);
        self.copy(&data);
    }

    fn copy(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            if self.last.is_empty() && !self.full.is_empty() {
                // Only the first one grows: a short body takes little.
                self.last = BytesMut::with_capacity(SEGMENT_BYTES);
            }
            let room = SEGMENT_BYTES - self.last.len();
            let (fits, rest) = data.split_at(room.min(data.len()));
            self.last.extend_from_slice(fits);
            data = rest;
            if self.last.len() == SEGMENT_BYTES {
                self.full.push(std::mem::take(&mut self.last));
            }
        }
    }

    fn join(self) -> Bytes {
        if !self.first.is_empty() {
            return self.first;
        }
        if self.full.is_empty() {
            return self.last.freeze();
        }
        let mut joined = BytesMut::with_capacity(self.length);
        for segment in self.full.iter().chain([&self.last]) {
            joined.extend_from_slice(segment);
        }
        joined.freeze()
    }
}

/// Why a body was not read to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BodyError {
    /// It has more than this many bytes.
    TooLarge(usize),
    /// The client broke off, or was too slow for the accept loop.
    Incomplete,
    TooSlow,
    TooMany(TooMany),
}

impl From<TooMany> for BodyError {
    fn from(too_many: TooMany) -> Self {
        Self::TooMany(too_many)
    }
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge(bytes_max) => Self::too_large(
                "body_too_large",
                format!("the body may have at most {bytes_max} bytes here: send several"),
            ),
            BodyError::Incomplete => Self::bad_request(
                "incomplete_body",
                "the body is incomplete: nothing was recorded, send it again",
            ),
            BodyError::TooSlow => Self::body_too_slow(),
            BodyError::TooMany(too_many) => too_many.into(),
        }
    }
}
