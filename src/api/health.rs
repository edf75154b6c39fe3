use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::Problem;
use crate::{feed::Feed, ledger::Unavailable};

type Render = Arc<dyn Fn() -> String + Send + Sync>;

/// What the handlers of the second listener share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Admin {
    feed: Feed,
    closing: CancellationToken,
    metrics: Option<Render>,
}

impl Admin {
    /// Tells how `feed` is.
    pub(crate) fn new(feed: Feed) -> Self {
        Self {
            feed,
            closing: CancellationToken::new(),
            metrics: None,
        }
    }

    /// Not ready any more once `closing` is cancelled.
    #[must_use]
    pub(crate) fn with_closing(mut self, closing: CancellationToken) -> Self {
        self.closing = closing;
        self
    }

    /// Shows what `render` gives, in the text format of Prometheus, at `/metrics`.
    #[must_use]
    pub(crate) fn with_metrics(
        mut self,
        render: impl Fn() -> String + Send + Sync + 'static,
    ) -> Self {
        self.metrics = Some(Arc::new(render));
        self
    }
}

/// `/health/live`, `/health/ready` and `/metrics`: for a listener that the public does not reach, since
/// nobody is asked for a token.
pub(crate) fn admin_router(admin: Admin) -> Router {
    let metrics = admin.metrics.clone();
    let routes = Router::new()
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .with_state(admin);
    match metrics {
        Some(render) => routes.route("/metrics", get(async move || show(&render))),
        None => routes,
    }
}

/// The process answers. It says nothing of the ledger: restarting does not mend a disk.
async fn live() -> Response {
    well("live")
}

/// Clients and producers are welcome: the ledger takes events, and nobody shuts down.
async fn ready(State(admin): State<Admin>) -> Result<Response, Problem> {
    if admin.closing.is_cancelled() {
        return Err(Unavailable::Closed.into());
    }
    if !admin.feed.is_available() {
        return Err(Unavailable::Poisoned.into());
    }
    Ok(well("ready"))
}

fn well(status: &str) -> Response {
    let no_store = [(CACHE_CONTROL, "no-store")];
    (no_store, Json(json!({ "status": status }))).into_response()
}

fn show(render: &Render) -> Response {
    let text = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (text, render()).into_response()
}
