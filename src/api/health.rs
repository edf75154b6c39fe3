use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::header::CONTENT_TYPE;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    feed::Feed,
    http::{NO_STORE, Problem},
    ledger::Unavailable,
};

type Render = Arc<dyn Fn() -> String + Send + Sync>;

/// The state of the second listener's handlers. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Admin {
    feed: Feed,
    closing: CancellationToken,
    metrics: Option<Render>,
}

impl Admin {
    /// Reports the state of `feed`.
    pub(crate) fn new(feed: Feed) -> Self {
        Self {
            feed,
            closing: CancellationToken::new(),
            metrics: None,
        }
    }

    /// Reports that it is not ready once `closing` is cancelled.
    #[must_use]
    pub(crate) fn with_closing(mut self, closing: CancellationToken) -> Self {
        self.closing = closing;
        self
    }

    /// Serves the output of `render`, in Prometheus' text format, at `/metrics`.
    #[must_use]
    pub(crate) fn with_metrics(
        mut self,
        render: impl Fn() -> String + Send + Sync + 'static,
    ) -> Self {
        self.metrics = Some(Arc::new(render));
        self
    }
}

/// `/health/live`, `/health/ready` and `/metrics`. They need no token, so the public must not reach their
/// listener.
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

/// Reports that the process answers. The ledger is not checked: a restart does not repair a disk.
async fn live() -> Response {
    ok("live")
}

/// Reports whether the ledger accepts events and the server is not shutting down.
async fn ready(State(admin): State<Admin>) -> Result<Response, Problem> {
    if admin.closing.is_cancelled() {
        return Err(Unavailable::Closed.into());
    }
    if !admin.feed.is_available() {
        return Err(Unavailable::Poisoned.into());
    }
    Ok(ok("ready"))
}

fn ok(status: &str) -> Response {
    (NO_STORE, Json(json!({ "status": status }))).into_response()
}

fn show(render: &Render) -> Response {
    let text = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (text, NO_STORE, render()).into_response()
}
