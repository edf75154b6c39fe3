//! The HTTP API: handlers that take and return JSON.
//!
//! [`router`] holds the public routes under `/v1`, [`admin_router`] those of the second listener: health and
//! metrics.

mod accounts;
mod cloudevents;
mod disconnect;
mod etag;
mod events;
mod feeds;
mod health;
mod history;
mod past;
mod report;
mod revocations;
mod tickets;

use axum::{
    Router,
    routing::{get, post},
};

#[cfg(feature = "schema")]
pub(crate) use accounts::{ProfileBody, ProfileInput};
#[cfg(feature = "schema")]
pub(crate) use disconnect::{DisconnectRequest, Disconnected};
#[cfg(feature = "schema")]
pub(crate) use events::BatchAnswer;
pub(crate) use health::{Admin, admin_router};
pub(crate) use revocations::revoke;
#[cfg(feature = "schema")]
pub(crate) use revocations::{RevocationAnswer, RevocationRequest};
#[cfg(feature = "schema")]
pub(crate) use tickets::{TicketAnswer, TicketRequest};

use crate::http::{AppState, Problem, with_checks};

/// The public routes. It has no fallback, so it merges with any other router, and its layers apply only to
/// its own paths.
pub(crate) fn router(app: AppState) -> Router {
    let checked = app.clone();
    let routes = Router::new()
        .route("/v1/events", post(events::record))
        .route("/v1/tickets", post(tickets::mint))
        .route("/v1/revocations", post(revocations::post))
        .route("/v1/disconnect", post(disconnect::post))
        .route("/v1/feeds/{account}", get(feeds::poll))
        .route("/v1/feeds/{account}/entries", get(history::entries))
        .route(
            "/v1/accounts/{account}",
            get(accounts::read)
                .put(accounts::replace)
                .delete(accounts::erase),
        )
        .route("/v1/accounts/{account}/totals", get(past::totals))
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .with_state(app);
    with_checks(routes, &checked)
}
