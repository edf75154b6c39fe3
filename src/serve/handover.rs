use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use http::{Method, Request, Response, StatusCode, Version, header};

use super::connection::Connection;

/// Who writes the body of a response by himself: carried in the extensions of a response that goes on for long.
///
/// hyper asks a body for each chunk, copies it, and keeps 16 KiB for its connection as long as the response goes on.
/// [`serve`](super::serve) lets it write the head; then the body is dropped, HTTP is over, and whoever is here gets the
/// connection, to write chunks (RFC 9112, section 7.1) and close. Where that cannot be (another server, HTTP/1.0, a layer
/// that encodes bodies), nothing comes of it and the body is asked as ever.
#[derive(Clone)]
pub(crate) struct Handover(Arc<Mutex<Option<Take>>>);

type Take = Box<dyn FnOnce(Connection) + Send>;

impl Handover {
    /// `take` gets the connection, without what the client has sent behind its request. It must not block.
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

impl fmt::Debug for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handover").finish_non_exhaustive()
    }
}

/// Whether a response to this request has a body in chunks.
pub(super) fn wants_chunks<B>(request: &Request<B>) -> bool {
    request.version() == Version::HTTP_11 && request.method() != Method::HEAD
}

/// Whether a response leaves as it was made, for all that its head says.
pub(super) fn is_plain<B>(response: &Response<B>) -> bool {
    let altered = [
        header::CONTENT_ENCODING,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
    ];
    let headers = response.headers();
    response.status() == StatusCode::OK && !altered.iter().any(|name| headers.contains_key(name))
}
