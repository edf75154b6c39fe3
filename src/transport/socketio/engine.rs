//! The stock engine behind our front: spoken to by requests of our own making.
//!
//! The engine keeps the opening request for as long as the session lives, and hyper's headers and
//! URI are slices of its read buffer. So nothing of the client's request is passed on: each one is
//! built anew from what counts.

use std::{convert::Infallible, future::Ready, sync::Arc, task::Context, task::Poll};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, Full};
use socketioxide::{service::SocketIoService, socket::Sid};
use tower::Service;

use super::{
    guarded::Guarded,
    limits::{MESSAGE_BYTES_MAX, POLLING_BODY_BYTES_MAX},
    session::Session,
};

/// What the engine's packets are separated by in a polling body (Engine.IO 4).
pub(super) const SEPARATOR: u8 = 0x1e;

/// The engine's open packet, with the limit that we have for what a client sends. The engine knows
/// only one for both directions.
pub(super) fn with_our_limit(open: &[u8]) -> Bytes {
    let engines = format!("\"maxPayload\":{POLLING_BODY_BYTES_MAX}");
    let ours = format!("\"maxPayload\":{MESSAGE_BYTES_MAX}");
    let open = String::from_utf8_lossy(open);
    open.replacen(&engines, &ours, 1).into_bytes().into()
}

/// A cheap handle to the engine.
#[derive(Clone)]
pub(super) struct Engine(SocketIoService<Elsewhere>);

/// An answer of the engine, small and complete.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

impl Engine {
    pub(super) fn new(service: SocketIoService<Elsewhere>) -> Self {
        Self(service)
    }

    /// Opens a polling session that belongs to `session`.
    pub(super) async fn open_polling(&self, session: &Arc<Session>) -> Answer {
        let mut request = polling_request(Method::GET, None, Bytes::new());
        attach(&mut request, session);
        self.call(request).await
    }

    /// Waits for packets. Cancel-safe: packets are taken only when they are answered with.
    pub(super) async fn poll(&self, sid: Sid) -> Answer {
        self.call(polling_request(Method::GET, Some(sid), Bytes::new()))
            .await
    }

    /// Hands packets of the client in.
    pub(super) async fn post(&self, sid: Sid, packets: Bytes) -> Answer {
        self.call(polling_request(Method::POST, Some(sid), packets))
            .await
    }

    /// Ends a polling session, as if its client had asked for it: the engine has no other way.
    pub(super) fn close(&self, sid: Sid) {
        let engine = self.clone();
        // Bounded: a close packet is handled without waiting for anything.
        tokio::spawn(async move { engine.post(sid, Bytes::from_static(b"1")).await });
    }

    /// Gives a WebSocket to the engine: a new session, or the upgrade of the one with `sid`.
    pub(super) fn serve_websocket(
        &self,
        stream: Guarded,
        session: &Arc<Session>,
        sid: Option<Sid>,
    ) {
        let mut request = Request::new(());
        *request.uri_mut() = uri("websocket", sid);
        if sid.is_none() {
            attach(&mut request, session);
        }
        // Ready at once; it refuses only what was checked before, by dropping the stream.
        if self.0.clone().call((stream, request)).into_inner().is_err() {
            tracing::error!("the engine refused a WebSocket request that was checked before");
        }
    }

    async fn call(&self, request: Request<Full<Bytes>>) -> Answer {
        let Ok(response) = self.0.clone().call(request).await;
        let (parts, body) = response.into_parts();
        match body.collect().await {
            Ok(body) => Answer {
                status: parts.status,
                body: body.to_bytes(),
            },
            Err(_) => Answer {
                status: StatusCode::INTERNAL_SERVER_ERROR,
                body: Bytes::new(),
            },
        }
    }
}

fn polling_request(method: Method, sid: Option<Sid>, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = uri("polling", sid);
    request
}

fn uri(transport: &str, sid: Option<Sid>) -> http::Uri {
    let sid = sid.map(|sid| format!("&sid={sid}")).unwrap_or_default();
    let uri = format!("/socket.io/?EIO=4&transport={transport}{sid}");
    uri.parse().expect("a session id is URL-safe")
}

/// Puts the session where every socket's handlers find it, and the token where a host's would
/// look for it.
fn attach<B>(request: &mut Request<B>, session: &Arc<Session>) {
    if let Some(bearer) = &session.bearer
        && let Ok(mut value) = HeaderValue::try_from(format!("Bearer {bearer}"))
    {
        value.set_sensitive(true);
        request.headers_mut().insert(header::AUTHORIZATION, value);
    }
    request.extensions_mut().insert(Arc::clone(session));
}

/// The service behind the engine for other paths, of which we send none.
#[derive(Clone, Debug)]
pub(super) struct Elsewhere;

impl<B> Service<Request<B>> for Elsewhere {
    type Response = Response<Empty<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        let mut response = Response::new(Empty::new());
        *response.status_mut() = StatusCode::NOT_FOUND;
        std::future::ready(Ok(response))
    }
}
