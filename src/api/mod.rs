//! The HTTP API: handlers that take and give JSON.
//!
//! [`router`] holds the public routes under `/v1`, [`admin_router`] those of the second listener: health
//! and metrics.

mod accounts;
mod body;
mod caller;
mod cloudevents;
mod etag;
mod events;
mod feeds;
mod health;
mod history;
mod past;
mod problem;
mod query;
mod tickets;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
    routing::{get, post},
};
use tokio_util::sync::CancellationToken;

#[cfg(feature = "schema")]
pub(crate) use accounts::{Sent, Shown};
pub(crate) use body::read_json;
pub(crate) use caller::{Caller, Named};
#[cfg(feature = "schema")]
pub(crate) use events::Results;
pub(crate) use health::{Admin, admin_router};
#[cfg(feature = "schema")]
pub(crate) use problem::Body;
pub(crate) use problem::Problem;
pub(crate) use query::Asked;
#[cfg(feature = "schema")]
pub(crate) use tickets::{Minted, Wanted};

use crate::{
    access::{Authorize, Origins, Tickets},
    feed::Feed,
};

/// What the handlers of the public routes share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) feed: Feed,
    pub(crate) access: Arc<dyn Authorize>,
    pub(crate) tickets: Arc<Tickets>,
    pub(crate) origins: Origins,
    pub(crate) closing: CancellationToken,
}

impl Api {
    /// Callers that `access` knows use `feed`; pages of their own server only.
    pub(crate) fn new(feed: Feed, access: Arc<dyn Authorize>) -> Self {
        Self {
            feed,
            access,
            tickets: Arc::new(Tickets::of_this_process()),
            origins: Origins::default(),
            closing: CancellationToken::new(),
        }
    }

    /// Mints and reads these tickets.
    #[must_use]
    pub(crate) fn with_tickets(mut self, tickets: Tickets) -> Self {
        self.tickets = Arc::new(tickets);
        self
    }

    /// Lets pages of other origins call.
    #[must_use]
    pub(crate) fn with_origins(mut self, origins: Origins) -> Self {
        self.origins = origins;
        self
    }

    /// Answers everyone who waits, and ends, once `closing` is cancelled.
    #[must_use]
    pub(crate) fn with_closing(mut self, closing: CancellationToken) -> Self {
        self.closing = closing;
        self
    }
}

/// The public routes. It has no fallback, so it merges with any other router; its layers see no path of
/// others.
pub(crate) fn router(api: Api) -> Router {
    let cors = api.origins.cors();
    let routes = Router::new()
        .route("/v1/events", post(events::record))
        .route("/v1/tickets", post(tickets::mint))
        .route("/v1/feeds/{account}", get(feeds::poll))
        .route("/v1/feeds/{account}/entries", get(history::entries))
        .route(
            "/v1/accounts/{account}",
            get(accounts::read)
                .put(accounts::replace)
                .delete(accounts::erase),
        )
        .route("/v1/accounts/{account}/totals", get(past::totals))
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() });
    let routes = match cors {
        Some(cors) => routes.layer(cors),
        None => routes,
    };
    routes
        .layer(middleware::from_fn_with_state(api.clone(), check_origin))
        .with_state(api)
}

/// Refuses pages of origins that are not on the list.
pub(crate) async fn check_origin(
    State(api): State<Api>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    api.origins.check(request.headers())?;
    Ok(next.run(request).await)
}
