//! The front door: every request to `/socket.io` is checked here before the engine hears of it.

use std::{convert::Infallible, sync::Arc};

use axum::{Router, body::Body};
use http::{HeaderMap, Method, Request, Response};
use tower::service_fn;

use super::{
    engine::Engine,
    handshake::Handshake,
    limits::Timing,
    opening::{Carrier, Opening},
    polling,
    refusal::Refusal,
    session::Session,
    sessions::Sessions,
    upgrade::{self, Purpose},
};

/// Says whether the page that a request comes from may call us.
pub(crate) type OriginCheck = Arc<dyn Fn(&HeaderMap) -> bool + Send + Sync>;

/// What the door needs to know.
#[derive(Clone)]
pub(super) struct Front {
    pub(super) engine: Engine,
    pub(super) sessions: Arc<Sessions>,
    pub(super) timing: Timing,
    pub(super) origins: OriginCheck,
}

impl Front {
    /// The two routes that clients use. No fallback: a host's router may have one.
    pub(super) fn router(&self) -> Router {
        let front = self.clone();
        let service = service_fn(move |request| {
            let front = front.clone();
            async move {
                let response = front.handle(request).await;
                Ok::<_, Infallible>(response.unwrap_or_else(Refusal::into_response))
            }
        });
        Router::new()
            .route_service("/socket.io", service.clone())
            .route_service("/socket.io/", service)
    }

    async fn handle(&self, request: Request<Body>) -> Result<Response<Body>, Refusal> {
        let (parts, body) = request.into_parts();
        if !(self.origins)(&parts.headers) {
            return Err(Refusal::ForeignOrigin);
        }
        let Opening {
            carrier,
            sid,
            bearer,
        } = Opening::parse(&parts)?;
        let known = match sid {
            Some(sid) => Some((sid, self.find(sid)?)),
            None => None,
        };
        match (carrier, known) {
            (Carrier::Polling, None) => polling::open(&self.engine, &self.sessions, bearer).await,
            (Carrier::Polling, Some((sid, session))) => {
                if session.conn().is_some() {
                    return Err(Refusal::BadRequest);
                }
                if parts.method == Method::POST {
                    // The engine keeps the session while it lives; a body may take its time.
                    return polling::post(&self.engine, &session, sid, body).await;
                }
                polling::poll(&self.engine, &session, sid).await
            }
            (Carrier::WebSocket, known) => {
                let handshake = Handshake::check(&parts.headers)?;
                let purpose = match known {
                    Some((_, session)) => {
                        Purpose::Upgrade(session.begin_probe().ok_or(Refusal::BadRequest)?)
                    }
                    None => Purpose::NewSession(
                        self.sessions
                            .open(&self.engine, bearer)
                            .ok_or(Refusal::TooManySessions)?,
                    ),
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

    fn find(&self, sid: socketioxide::socket::Sid) -> Result<Arc<Session>, Refusal> {
        self.sessions.find(sid).ok_or(Refusal::UnknownSession)
    }
}
