//! Requests to the stock engine.
//!
//! The engine keeps the opening request for as long as the session lives, and hyper's headers and URI are slices of
//! its read buffer. So the client's request is never passed on: a new one is built with only what the engine needs.

use std::{convert::Infallible, future::Ready, task::Context, task::Poll};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, Full};
use socketioxide::{service::SocketIoService, socket::Sid};
use tokio::io::{AsyncRead, AsyncWrite};
use tower::Service;

/// A handle to the engine. Cheap to clone.
#[derive(Clone)]
pub(crate) struct EngineBridge(SocketIoService<NotFound>);

/// A complete response of the engine.
pub(crate) struct EngineResponse {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// What the engine keeps with a session that it opens.
pub(crate) struct Opening<'a, T> {
    /// An extension of the request, where the handlers of the session's sockets find it.
    pub(crate) extension: T,
    /// The token of the client's request, for handlers of a host that read the header.
    pub(crate) bearer: Option<&'a str>,
}

impl EngineBridge {
    pub(crate) fn new(service: SocketIoService<NotFound>) -> Self {
        Self(service)
    }

    /// Opens a polling session.
    pub(crate) async fn open_polling<T>(&self, opening: Opening<'_, T>) -> EngineResponse
    where
        T: Clone + Send + Sync + 'static,
    {
        let mut request = polling_request(Method::GET, None, Bytes::new());
        opening.apply(&mut request);
        self.call(request).await
    }

    /// Waits for packets to the client. Cancel-safe: packets are only taken together with the response.
    pub(crate) async fn poll(&self, sid: Sid) -> EngineResponse {
        self.call(polling_request(Method::GET, Some(sid), Bytes::new()))
            .await
    }

    /// Hands in packets from the client.
    pub(crate) async fn post(&self, sid: Sid, packets: Bytes) -> EngineResponse {
        self.call(polling_request(Method::POST, Some(sid), packets))
            .await
    }

    /// Ends a polling session as if its client had asked for it, since the engine offers no other way.
    pub(crate) fn close(&self, sid: Sid) {
        let engine = self.clone();
        // Bounded: a close packet is handled without waiting for anything.
        tokio::spawn(async move { engine.post(sid, Bytes::from_static(b"1")).await });
    }

    /// Hands a WebSocket over, for a new session.
    pub(crate) fn open_websocket<S, T>(&self, stream: S, opening: Opening<'_, T>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: Clone + Send + Sync + 'static,
    {
        let mut request = websocket_request(None);
        opening.apply(&mut request);
        self.serve(stream, request);
    }

    /// Hands a WebSocket over, to which the polling session `sid` is upgraded.
    pub(crate) fn upgrade<S>(&self, stream: S, sid: Sid)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.serve(stream, websocket_request(Some(sid)));
    }

    fn serve<S>(&self, stream: S, request: Request<()>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // The future is ready at once. The engine would refuse only what was checked before, by dropping the stream.
        if self.0.clone().call((stream, request)).into_inner().is_err() {
            tracing::error!("the engine refused a WebSocket request that was checked before");
        }
    }

    async fn call(&self, request: Request<Full<Bytes>>) -> EngineResponse {
        let Ok(response) = self.0.clone().call(request).await;
        let (parts, body) = response.into_parts();
        match body.collect().await {
            Ok(body) => EngineResponse {
                status: parts.status,
                body: body.to_bytes(),
            },
            Err(_) => EngineResponse {
                status: StatusCode::INTERNAL_SERVER_ERROR,
                body: Bytes::new(),
            },
        }
    }
}

impl<T: Clone + Send + Sync + 'static> Opening<'_, T> {
    fn apply<B>(self, request: &mut Request<B>) {
        if let Some(bearer) = self.bearer
            && let Ok(mut value) = HeaderValue::try_from(format!("Bearer {bearer}"))
        {
            value.set_sensitive(true);
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        request.extensions_mut().insert(self.extension);
    }
}

fn polling_request(method: Method, sid: Option<Sid>, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = uri("polling", sid);
    request
}

fn websocket_request(sid: Option<Sid>) -> Request<()> {
    let mut request = Request::new(());
    *request.uri_mut() = uri("websocket", sid);
    request
}

fn uri(transport: &str, sid: Option<Sid>) -> http::Uri {
    let sid = sid.map(|sid| format!("&sid={sid}")).unwrap_or_default();
    let uri = format!("/socket.io/?EIO=4&transport={transport}{sid}");
    uri.parse().expect("a session id is URL-safe")
}

/// The engine's inner service, for other paths. We send it no such request.
#[derive(Clone, Debug)]
pub(crate) struct NotFound;

impl<B> Service<Request<B>> for NotFound {
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
