//! A response that goes on: the messages of a feed, each written as its transport has them.
//!
//! Behind [`serve`](crate::serve()) its task writes to the connection past HTTP; elsewhere hyper asks a body for the
//! same bytes.

mod past_http;

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, header};

use self::past_http::PastHttp;
use super::{
    Transports,
    farewell::Farewell,
    follower::{Follower, Told},
};
use crate::{
    feed::{Message, Sink},
    serve::Handover,
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

    /// A message of the feed, as a client gets it.
    fn written(&self, message: &Message) -> Bytes {
        let position = message.position().to_string();
        self.message(message.name(), message.json().get(), Some(&position))
    }
}

/// These texts, one behind the other, in exactly the memory that they need: a client that does not read
/// holds a chunk for long, and what grows by doubling may be twice as large.
pub(super) fn chunk(texts: &[&str]) -> Bytes {
    texts.concat().into()
}

/// A response as far as it is written.
struct Streaming<W> {
    follower: Follower,
    writes: W,
    stage: Stage,
}

enum Stage {
    Opens,
    Goes,
    Ends,
}

/// The response that follows. Its body reads the feed when the connection can take more: a slow client
/// costs a position, and what the connection buffers.
pub(super) fn respond<W: Writes>(follower: Follower, writes: W) -> Response {
    let streaming = Streaming::new(follower, writes);
    head::<W>(Body::from_stream(stream::unfold(
        streaming,
        Streaming::next,
    )))
}

/// The same, where `W` says by itself how everybody's messages are written: past HTTP, if that can be.
pub(super) fn respond_past_http<W: Writes + Default>(
    follower: Follower,
    transports: Transports,
) -> Response {
    let (for_body, for_task) = Either::two(Streaming::new(follower, W::default()));
    let chunks = stream::unfold(Begun::No(for_body), Begun::next);
    let mut response = head::<W>(Body::from_stream(chunks));
    let handover = Handover::new(move |connection| {
        if let Some(streaming) = for_task.take() {
            let past_http = PastHttp::new(streaming, connection.into(), &transports);
            transports.sockets.spawn(past_http.run());
        }
    });
    response.extensions_mut().insert(handover);
    response
}

/// What the first of two gets.
struct Either<T>(Arc<Mutex<Option<T>>>);

impl<T> Either<T> {
    fn two(thing: T) -> (Self, Self) {
        let shared = Arc::new(Mutex::new(Some(thing)));
        (Self(Arc::clone(&shared)), Self(shared))
    }

    fn take(self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A body that may be dropped before it is asked for anything.
#[expect(
    clippy::large_enum_variant,
    reason = "it is the small one for a moment"
)]
enum Begun<W> {
    No(Either<Streaming<W>>),
    Yes(Streaming<W>),
}

impl<W: Writes> Begun<W> {
    async fn next(self) -> Option<(Result<Bytes, Infallible>, Self)> {
        let streaming = match self {
            Self::No(either) => either.take()?,
            Self::Yes(streaming) => streaming,
        };
        let (chunk, streaming) = streaming.next().await?;
        Some((chunk, Self::Yes(streaming)))
    }
}

/// A response with everything but its body.
fn head<W: Writes>(body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    set(header::CONTENT_TYPE, W::CONTENT_TYPE);
    set(header::CACHE_CONTROL, "no-store");
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    // nginx would collect what should arrive now.
    set(header::HeaderName::from_static("x-accel-buffering"), "no");
    response
}

impl<W: Writes> Streaming<W> {
    fn new(follower: Follower, writes: W) -> Self {
        Self {
            follower,
            writes,
            stage: Stage::Opens,
        }
    }

    fn riding(mut self, sink: impl Sink) -> Self {
        self.follower = self.follower.riding(sink);
        self
    }

    /// What a body has next.
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        let text = match self.stage {
            Stage::Opens => {
                self.stage = Stage::Goes;
                self.writes.prelude()
            }
            Stage::Goes => match tokio::time::timeout(KEEP_ALIVE, self.follower.next()).await {
                Ok(told) => self.text(told),
                Err(_) => self.writes.keep_alive(),
            },
            Stage::Ends => return None,
        };
        Some((Ok(text), self))
    }

    /// How it is written, from now on for sure.
    fn text(&mut self, told: Told) -> Bytes {
        match told {
            Told::Message(message) => {
                let text = self.writes.written(&message);
                self.follower.applied(&message);
                text
            }
            // Nobody here can show a new token: such clients come back.
            Told::Expiring(_) => self.writes.keep_alive(),
            Told::Farewell(farewell) => {
                self.stage = Stage::Ends;
                count(farewell);
                let closing = farewell.message_at(self.follower.position().as_ref());
                self.writes.message("closing", &closing, None)
            }
        }
    }
}

fn count(farewell: Farewell) {
    metrics::counter!("tallycast_streams_closed_total", "code" => farewell.code()).increment(1);
}
