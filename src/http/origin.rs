//! Which web pages may call: the check of the `Origin` header, and the CORS headers.

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::Response,
};

use super::problem::Problem;
use crate::access::Origins;

/// Makes these routes callable only from allowed origins. The layers apply only to paths that the router has.
pub(crate) fn with_origin_check(routes: Router, origins: &Origins) -> Router {
    with_cors(routes, origins).layer(middleware::from_fn_with_state(origins.clone(), check))
}

/// Adds CORS headers and preflight answers to these routes, if other origins are allowed.
pub(crate) fn with_cors(routes: Router, origins: &Origins) -> Router {
    match origins.cors() {
        Some(cors) => routes.layer(cors),
        None => routes,
    }
}

async fn check(
    State(origins): State<Origins>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    origins.check(request.headers())?;
    Ok(next.run(request).await)
}
