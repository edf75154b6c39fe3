//! What every request passes first: the check of its `Origin` header, and the rate of its address. And the CORS headers.

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
};

use super::{problem::Problem, state::AppState};
use crate::access::Origins;

/// Makes these routes callable only from allowed origins, and at a limited rate. The layers apply only to paths that the
/// router has.
pub(crate) fn with_checks(routes: Router, app: &AppState) -> Router {
    with_cors(routes, &app.origins).layer(middleware::from_fn_with_state(app.clone(), check))
}

/// Adds CORS headers and preflight answers to these routes, if other origins are allowed.
pub(crate) fn with_cors(routes: Router, origins: &Origins) -> Router {
    match origins.cors() {
        Some(cors) => routes.layer(cors),
        None => routes,
    }
}

async fn check(
    State(app): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    app.origins.check(request.headers())?;
    let client = app.usage.client(request.extensions(), request.headers());
    app.usage.request(client).await?;
    Ok(next.run(request).await)
}
