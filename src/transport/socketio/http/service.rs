//! The HTTP service: every request to `/socket.io` is checked here before it reaches the engine.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::State,
    middleware::{self, Next},
};
use http::{Method, Request, Response};
use tower::service_fn;

use super::{
    polling,
    refusal::Refusal,
    request::{EngineRequest, TransportKind},
    upgrade::{self, Purpose},
};
use crate::{
    access::Origins,
    http::with_cors,
    quota::{Client, Usage},
    transport::{
        limits::Timing,
        socketio::{
            engine::EngineBridge,
            feed::FeedSession,
            session::{Registry, SessionOpener},
        },
        websocket::Handshake,
    },
};

/// The service behind both routes. Cheap to clone.
#[derive(Clone)]
pub(crate) struct HttpService {
    pub(crate) engine: EngineBridge,
    pub(crate) registry: Arc<Registry<FeedSession>>,
    pub(crate) timing: Timing,
    /// Which web pages may call.
    pub(crate) origins: Origins,
    pub(crate) usage: Arc<Usage>,
}

impl HttpService {
    /// The two routes that clients use. There is no fallback, since a host's router may have one.
    pub(crate) fn router(&self) -> Router {
        let service = self.clone();
        let service = service_fn(move |request| {
            let service = service.clone();
            async move {
                let response = service.handle(request).await;
                Ok::<_, Infallible>(response.unwrap_or_else(Refusal::into_response))
            }
        });
        let routes = Router::new()
            .route_service("/socket.io", service.clone())
            .route_service("/socket.io/", service);
        let routes = with_cors(routes, &self.origins);
        // Outside of CORS, which answers a preflight by itself.
        routes.layer(middleware::from_fn_with_state(self.clone(), check_page))
    }

    async fn handle(&self, request: Request<Body>) -> Result<Response<Body>, Refusal> {
        let (parts, body) = request.into_parts();
        let client = self.usage.client(&parts.extensions, &parts.headers);
        if parts.method != Method::OPTIONS {
            self.usage.request(client).await?;
        }
        let EngineRequest {
            transport,
            sid,
            bearer,
        } = EngineRequest::parse(&parts)?;
        let known = match sid {
            Some(sid) => Some((sid, self.find(sid)?)),
            None => None,
        };
        match (transport, known) {
            (TransportKind::Polling, None) => {
                let opener = self.opener(client, bearer)?;
                polling::open(&self.engine, &self.registry, self.timing, opener).await
            }
            (TransportKind::Polling, Some((sid, session))) => {
                if session.connection().is_some() {
                    return Err(Refusal::BadRequest);
                }
                let _under_way = session.begin_request();
                if parts.method == Method::POST {
                    let held = self.usage.bytes(client, None);
                    return polling::post(&self.engine, &session, sid, body, held).await;
                }
                polling::poll(&self.engine, &session, sid).await
            }
            (TransportKind::WebSocket, known) => {
                let handshake = Handshake::check(&parts.headers)?;
                let purpose = match known {
                    Some((_, session)) => {
                        Purpose::Upgrade(session.begin_probe().ok_or(Refusal::BadRequest)?)
                    }
                    None => {
                        let opener = self.opener(client, bearer)?;
                        let session = FeedSession::open(&self.registry, &self.engine, opener);
                        Purpose::NewSession(session.ok_or(Refusal::TooManySessions)?)
                    }
                };
                upgrade::accept(
                    &self.engine,
                    self.timing,
                    handshake,
                    Request::from_parts(parts, body),
                    purpose,
                )
            }
        }
    }

    /// The opener of a session, which counts against the quotas of its client.
    fn opener(&self, client: Client, bearer: Option<Box<str>>) -> Result<SessionOpener, Refusal> {
        let counted = self.usage.session(client)?;
        Ok(SessionOpener {
            bearer,
            client,
            counted,
        })
    }

    fn find(&self, sid: socketioxide::socket::Sid) -> Result<Arc<FeedSession>, Refusal> {
        self.registry.find(sid).ok_or(Refusal::UnknownSession)
    }
}

/// Refuses foreign pages, and preflights beyond the rate of an address. The service counts all other requests, so that
/// pages may read its refusals.
async fn check_page(
    State(service): State<HttpService>,
    request: Request<Body>,
    next: Next,
) -> Response<Body> {
    if service.origins.check(request.headers()).is_err() {
        return Refusal::ForeignOrigin.into_response();
    }
    if request.method() == Method::OPTIONS {
        let usage = &service.usage;
        let client = usage.client(request.extensions(), request.headers());
        if let Err(too_many) = usage.request(client).await {
            return Refusal::from(too_many).into_response();
        }
    }
    next.run(request).await
}
