//! One response, a message a line.

use axum::{extract::State, response::Response};
use bytes::Bytes;

use super::{
    Transports,
    opening::Opening,
    streamed::{self, Writes, chunk},
};
use crate::api::Problem;

/// `GET /v1/feeds/{account}/stream`.
pub(super) async fn follow(
    State(transports): State<Transports>,
    opening: Opening,
) -> Result<Response, Problem> {
    let opening = opening.without_callback()?;
    let follower = opening.follow(&transports);
    Ok(streamed::respond_past_http::<Ndjson>(follower, transports))
}

#[derive(Default)]
struct Ndjson;

impl Writes for Ndjson {
    const CONTENT_TYPE: &str = "application/x-ndjson";

    fn message(&self, _: &str, json: &str, _: Option<&str>) -> Bytes {
        chunk(&[json, "\n"])
    }

    /// An empty line, which readers of this format skip.
    fn keep_alive(&self) -> Bytes {
        Bytes::from_static(b"\n")
    }
}
