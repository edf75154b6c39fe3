//! Request bodies: their media type, their size, and small JSON documents.

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::problem::Problem;

/// Reads a body that is one JSON document of at most `bytes_max` bytes, and not compressed.
pub(crate) async fn read_json(
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
) -> Result<Bytes, Problem> {
    let is_json = |media_type: Option<String>| {
        matches!(media_type.as_deref(), None | Some("application/json"))
    };
    if is_gzipped(headers)? || !is_json(content_type(headers)?) {
        return Err(Problem::unsupported(
            "unsupported_media_type",
            "send application/json, not compressed",
        ));
    }
    collect(body, bytes_max).await
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

/// Reads a whole body of at most `bytes_max` bytes.
pub(crate) async fn collect(body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let too_large = || {
        Problem::too_large(
            "body_too_large",
            format!("the body may have at most {bytes_max} bytes here: send several"),
        )
    };
    // A body that is declared too long is not read at all.
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(too_large());
    }
    match Limited::new(body, bytes_max).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => Err(Problem::bad_request(
            "incomplete_body",
            "the body is incomplete: nothing was recorded, send it again",
        )),
    }
}
