use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use http::{Method, Request, Response, StatusCode, Version, header};

use super::connection::Connection;

/// Takes over writing a response body from hyper. It is set as an extension of a long response.
///
/// hyper polls a body for each chunk, copies it, and holds 16 KiB of buffers for the whole response.
/// [`serve()`](super::serve) lets it write only the head. Then the body is dropped, HTTP ends, and the takeover gets
/// the connection, to write chunks (RFC 9112, section 7.1) and close. If that is not possible (another server,
/// HTTP/1.0, a layer that encodes bodies), it is ignored and hyper polls the body.
#[derive(Clone)]
pub(crate) struct Takeover(Arc<Mutex<Option<TakeConnection>>>);

type TakeConnection = Box<dyn FnOnce(Connection) + Send>;

impl Takeover {
    /// `take` gets the connection, without any bytes that the client has sent after its request. It must not block.
    pub(crate) fn new(take: impl FnOnce(Connection) + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::new(take)))))
    }

    pub(super) fn give(self, connection: Connection) {
        let take = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(take) = take {
            take(connection);
        }
    }
}

impl fmt::Debug for Takeover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Takeover").finish_non_exhaustive()
    }
}

/// Whether a response to this request may have a chunked body.
pub(super) fn wants_chunks<B>(request: &Request<B>) -> bool {
    request.version() == Version::HTTP_11 && request.method() != Method::HEAD
}

/// Whether no layer has changed the response's body, as far as its head shows.
pub(super) fn is_plain<B>(response: &Response<B>) -> bool {
    let changed = [
        header::CONTENT_ENCODING,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
    ];
    let headers = response.headers();
    response.status() == StatusCode::OK && !changed.iter().any(|name| headers.contains_key(name))
}
