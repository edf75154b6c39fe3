//! The response of a stream, and its body if hyper writes it.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, header};

use super::{
    chunked::ChunkedWriter,
    format::StreamFormat,
    stream::{FormattedStream, KEEP_ALIVE},
};
use crate::{
    serve::Takeover,
    transport::{follow::Follower, state::TransportState},
};

/// A streaming response that hyper writes. The feed is read when the connection can take more, so a slow client
/// costs a position and what the connection buffers.
pub(super) fn respond<F: StreamFormat>(follower: Follower, format: F) -> Response {
    let body = BodyState::Unstarted(FormattedStream::new(follower, format));
    response::<F>(Body::from_stream(stream::unfold(body, BodyState::next)))
}

/// A streaming response that a task writes without hyper, if `serve` hands the connection over, and that hyper writes
/// otherwise.
pub(super) fn respond_past_http<F: StreamFormat + Default>(
    follower: Follower,
    state: TransportState,
) -> Response {
    let stream = FormattedStream::new(follower, F::default());
    let (for_body, for_task) = FirstTaker::pair(stream);
    let chunks = stream::unfold(BodyState::Shared(for_body), BodyState::next);
    let mut response = response::<F>(Body::from_stream(chunks));
    let takeover = Takeover::new(move |connection| {
        if let Some(stream) = for_task.take() {
            let writer = ChunkedWriter::new(stream, connection.into(), &state);
            state.connections.spawn(writer.run());
        }
    });
    response.extensions_mut().insert(takeover);
    response
}

/// One of two handles to a value: the first to take it gets it.
struct FirstTaker<T>(Arc<Mutex<Option<T>>>);

impl<T> FirstTaker<T> {
    fn pair(value: T) -> (Self, Self) {
        let shared = Arc::new(Mutex::new(Some(value)));
        (Self(Arc::clone(&shared)), Self(shared))
    }

    fn take(self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// How far a body has got. It may be dropped before it is polled.
enum BodyState<F> {
    Shared(FirstTaker<FormattedStream<F>>),
    Unstarted(FormattedStream<F>),
    Started(FormattedStream<F>),
}

impl<F: StreamFormat> BodyState<F> {
    async fn next(self) -> Option<(Result<Bytes, Infallible>, Self)> {
        let mut stream = match self {
            Self::Shared(stream) => return Some(Self::prelude(stream.take()?)),
            Self::Unstarted(stream) => return Some(Self::prelude(stream)),
            Self::Started(stream) => stream,
        };
        if stream.has_ended() {
            return None;
        }
        let chunk = match tokio::time::timeout(KEEP_ALIVE, stream.next_event()).await {
            Ok(event) => stream.encode(event),
            Err(_) => stream.keep_alive(),
        };
        Some((Ok(chunk), Self::Started(stream)))
    }

    fn prelude(stream: FormattedStream<F>) -> (Result<Bytes, Infallible>, Self) {
        (Ok(stream.prelude()), Self::Started(stream))
    }
}

fn response<F: StreamFormat>(body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    set(header::CONTENT_TYPE, F::CONTENT_TYPE);
    set(header::CACHE_CONTROL, "no-store");
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    // Keeps nginx from buffering the response.
    set(header::HeaderName::from_static("x-accel-buffering"), "no");
    response
}
