//! One thin room for each way to follow a feed, and what they share.
//!
//! `socketio` and `ws` hold a connection that goes both ways; `sse`, `ndjson` and `iframe` write a
//! response that goes on. All of them read through a [`follower`] or a subscription of their own, at the
//! pace of their client. Long and short polling are plain requests, and live in `api`.

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
pub(crate) mod socketio;
mod sse;
mod streamed;
mod wire;
mod ws;

use axum::{Router, middleware, routing::get};
use tokio_util::task::TaskTracker;

pub(crate) use drain::Drain;
pub(crate) use limits::Timing;

use crate::api::{self, Api, Problem};

/// What the transports under `/v1/feeds` share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Transports {
    pub(crate) api: Api,
    pub(crate) drain: Drain,
    pub(crate) timing: Timing,
    /// The tasks of open `WebSocket`s.
    pub(crate) sockets: TaskTracker,
}

/// The routes of connections that stay open, to be merged with those of the API.
pub(crate) fn router(transports: Transports) -> Router {
    let api = transports.api.clone();
    let cors = api.origins.cors();
    let routes = Router::new()
        .route("/v1/feeds/{account}/ws", get(ws::follow))
        .route("/v1/feeds/{account}/sse", get(sse::follow))
        .route("/v1/feeds/{account}/stream", get(ndjson::follow))
        .route("/v1/feeds/{account}/iframe", get(iframe::follow))
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() });
    let routes = match cors {
        Some(cors) => routes.layer(cors),
        None => routes,
    };
    routes
        .layer(middleware::from_fn_with_state(api, api::check_origin))
        .with_state(transports)
}
