//! One thin room for each way to follow a feed, and what they share.
//!
//! `socketio` and `ws` hold a connection that goes both ways; `sse`, `ndjson` and `iframe` write a
//! response that goes on. All of them read through a [`follower`] or a subscription of their own, at the
//! pace of their client. `push` is for what is not in a feed. Long and short polling are plain requests, and live in `api`.

mod direct_wire;
mod drain;
mod expiry;
mod farewell;
mod follower;
mod frame;
mod handshake;
mod iframe;
mod limits;
mod ndjson;
mod opening;
mod push;
mod pusher;
mod pushing;
mod shared_wire;
pub(crate) mod socketio;
mod sse;
mod stall;
mod streamed;
mod wire;
mod ws;

use axum::{
    Router,
    extract::FromRef,
    handler::Handler,
    middleware,
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use http::header::ALLOW;
use tokio_util::task::TaskTracker;

pub(crate) use drain::Drain;
#[cfg(feature = "schema")]
pub(crate) use expiry::AuthExpiring;
#[cfg(feature = "schema")]
pub(crate) use farewell::Closing;
pub(crate) use limits::Timing;
pub use push::{Push, PushTo, Pushed};
pub(crate) use pusher::Pusher;
#[cfg(feature = "schema")]
pub(crate) use pushing::Asked;

use crate::api::{self, Api, Problem};

/// What the transports under `/v1/feeds` share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Transports {
    pub(crate) api: Api,
    pub(crate) drain: Drain,
    pub(crate) timing: Timing,
    pub(crate) pusher: Pusher,
    /// The tasks of open `WebSocket`s, and of streams that are written past HTTP.
    pub(crate) sockets: TaskTracker,
}

impl FromRef<Transports> for Api {
    fn from_ref(transports: &Transports) -> Self {
        transports.api.clone()
    }
}

/// The routes of connections that stay open, and of pushes, to be merged with those of the API.
pub(crate) fn router(transports: Transports) -> Router {
    let api = transports.api.clone();
    let cors = api.origins.cors();
    let routes = Router::new()
        .route("/v1/feeds/{account}/ws", get_alone(ws::follow))
        .route("/v1/feeds/{account}/sse", get_alone(sse::follow))
        .route("/v1/feeds/{account}/stream", get_alone(ndjson::follow))
        .route("/v1/feeds/{account}/iframe", get_alone(iframe::follow))
        .route("/v1/push", post(pushing::post))
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() });
    let routes = match cors {
        Some(cors) => routes.layer(cors),
        None => routes,
    };
    routes
        .layer(middleware::from_fn_with_state(api, api::check_origin))
        .with_state(transports)
}

/// A route for GET. Elsewhere HEAD comes with it; here it would open a feed for nobody, or a WebSocket.
fn get_alone<T: 'static>(handler: impl Handler<T, Transports>) -> MethodRouter<Transports> {
    get(handler).head(refuse_method).fallback(refuse_method)
}

async fn refuse_method() -> Response {
    ([(ALLOW, "GET")], Problem::method_not_allowed()).into_response()
}
