//! A response that goes on: the messages of a feed, each written as its transport has them.

use std::time::Duration;

use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, header};

use super::{
    farewell::Farewell,
    follower::{Follower, Told},
};

/// From one sign of life to the next: below the 30 seconds after which some proxies give up.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How a transport writes.
pub(super) trait Writes: Send + Sync + 'static {
    /// The media type of the response.
    const CONTENT_TYPE: &str;

    /// What stands before the first message.
    fn prelude(&self) -> Bytes {
        Bytes::new()
    }

    /// One message: its name, its finished JSON, and the position of a client that has applied it.
    fn message(&self, name: &str, json: &str, position: Option<&str>) -> Bytes;

    /// What keeps proxies from taking the connection for dead, and means nothing.
    fn keep_alive(&self) -> Bytes;
}

/// These texts, one behind the other, in exactly the memory that they need: a client that does not read
/// holds a chunk for long, and what grows by doubling may be twice as large.
pub(super) fn chunk(texts: &[&str]) -> Bytes {
    texts.concat().into()
}

/// Where a response is.
enum Stage {
    Opens,
    Goes,
    Ends,
}

/// The response that follows. Its body reads the feed when the connection can take more: a slow client
/// costs a position, and what the connection buffers.
pub(super) fn respond<W: Writes>(follower: Follower, writes: W) -> Response {
    let state = (follower, writes, Stage::Opens);
    let chunks = stream::unfold(state, |(mut follower, writes, stage)| async move {
        let (chunk, stage) = match stage {
            Stage::Opens => (writes.prelude(), Stage::Goes),
            Stage::Goes => next(&mut follower, &writes).await,
            Stage::Ends => return None,
        };
        Some((
            Ok::<_, std::convert::Infallible>(chunk),
            (follower, writes, stage),
        ))
    });
    let mut response = Response::new(Body::from_stream(chunks));
    let headers = response.headers_mut();
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    set(header::CONTENT_TYPE, W::CONTENT_TYPE);
    set(header::CACHE_CONTROL, "no-store");
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    // nginx would collect what should arrive now.
    set(header::HeaderName::from_static("x-accel-buffering"), "no");
    response
}

async fn next<W: Writes>(follower: &mut Follower, writes: &W) -> (Bytes, Stage) {
    match tokio::time::timeout(KEEP_ALIVE, follower.next()).await {
        Err(_) => (writes.keep_alive(), Stage::Goes),
        Ok(Told::Message(message)) => {
            let position = message.position().to_string();
            let chunk = writes.message(message.name(), message.json().get(), Some(&position));
            follower.applied(&message);
            (chunk, Stage::Goes)
        }
        // Nobody here can show a new token: such clients come back.
        Ok(Told::Expiring(_)) => (Bytes::new(), Stage::Goes),
        Ok(Told::Farewell(farewell)) => {
            let closing = farewell.message_at(follower.position().as_ref());
            count(farewell);
            (writes.message("closing", &closing, None), Stage::Ends)
        }
    }
}

fn count(farewell: Farewell) {
    metrics::counter!("tallycast_streams_closed_total", "code" => farewell.code()).increment(1);
}
