//! One module for each way to follow a feed, and what they share.
//!
//! - [`websocket`] and [`socketio`] hold a connection that both sides write to; [`http_stream`] is a response that
//!   does not end: Server-Sent Events, lines of JSON, iframe streaming. Long and short polling are plain requests,
//!   in `api`.
//! - [`follow`] opens a subscription for a connection, reads it, and defines why it closes.
//! - [`wire`] is the byte stream under a connection: it finishes direct writes and times out stalled ones.
//! - [`push`] sends ephemeral events, which are in no feed.
//!
//! A new transport is a folder here and a route in [`router`].

mod follow;
mod http_stream;
mod limits;
mod per_second;
mod push;
pub(crate) mod socketio;
mod state;
mod websocket;
mod wire;

use axum::{
    Router,
    handler::Handler,
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use http::header::ALLOW;

pub(crate) use follow::Drain;
#[cfg(feature = "schema")]
pub(crate) use follow::{AuthExpiring, Closing};
pub(crate) use limits::Timing;
pub(crate) use push::PushQueue;
#[cfg(feature = "schema")]
pub(crate) use push::PushRequest;
pub use push::{Push, PushTo, Pushed};
pub(crate) use state::TransportState;

use crate::http::{Problem, with_checks};

/// The routes that keep a connection open, and the route for pushes, to be merged with those of the API.
pub(crate) fn router(state: TransportState) -> Router {
    let app = state.app.clone();
    let routes = Router::new()
        .route("/v1/feeds/{account}/ws", get_only(websocket::follow))
        .route("/v1/feeds/{account}/sse", get_only(http_stream::sse))
        .route("/v1/feeds/{account}/stream", get_only(http_stream::ndjson))
        .route("/v1/feeds/{account}/iframe", get_only(http_stream::iframe))
        .route("/v1/push", post(push::post))
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .with_state(state);
    with_checks(routes, &app)
}

/// A route for GET only. By default axum would answer HEAD too, which would open a connection that is not read.
fn get_only<T: 'static>(handler: impl Handler<T, TransportState>) -> MethodRouter<TransportState> {
    get(handler).head(refuse_method).fallback(refuse_method)
}

async fn refuse_method() -> Response {
    ([(ALLOW, "GET")], Problem::method_not_allowed()).into_response()
}
