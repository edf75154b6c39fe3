//! Newline-delimited JSON over one response.

use axum::{extract::State, response::Response};
use bytes::Bytes;

use super::{
    body::respond_past_http,
    format::{StreamFormat, concat},
};
use crate::{
    http::Problem,
    transport::{follow::FollowRequest, state::TransportState},
};

/// `GET /v1/feeds/{account}/stream`.
pub(crate) async fn follow(
    State(state): State<TransportState>,
    request: FollowRequest,
) -> Result<Response, Problem> {
    let follower = request.common()?.follow(&state);
    Ok(respond_past_http::<Ndjson>(follower, state))
}

#[derive(Default)]
struct Ndjson;

impl StreamFormat for Ndjson {
    const CONTENT_TYPE: &str = "application/x-ndjson";

    fn message(&self, _: &str, json: &str, _: Option<&str>) -> Bytes {
        concat(&[json, "\n"])
    }

    /// An empty line, which parsers of this format skip.
    fn keep_alive(&self) -> Bytes {
        Bytes::from_static(b"\n")
    }
}
