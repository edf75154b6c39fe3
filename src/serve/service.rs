use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::ConnectInfo;
use axum::response::IntoResponse;
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use tower::ServiceExt;

use super::activity::Activity;
use super::body::{ResponseBody, TimeoutBody};
use super::host;
use super::limits::Limits;
use super::takeover::{self, Takeover};

/// The service that hyper calls for each request of one connection.
pub(super) struct Requests {
    pub(super) router: Router,
    pub(super) peer: SocketAddr,
    pub(super) activity: Arc<Activity>,
    pub(super) limits: Arc<Limits>,
    pub(super) takeover: PendingTakeover,
}

/// The takeover of a connection, from its last response until the head was written. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct PendingTakeover(Arc<Mutex<Option<Takeover>>>);

impl PendingTakeover {
    fn set(&self, takeover: Takeover) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(takeover);
    }

    pub(super) fn take(&self) -> Option<Takeover> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl hyper::service::Service<Request<Incoming>> for Requests {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.activity.request_came();
        let activity = Arc::clone(&self.activity);
        if uri_bytes(&request) > self.limits.uri_bytes_max {
            let headers = [
                (header::CONNECTION, "close"),
                // A cache may keep a 414 otherwise.
                (header::CACHE_CONTROL, "no-store"),
            ];
            let refusal = (StatusCode::URI_TOO_LONG, headers).into_response();
            return Box::pin(async { Ok(answer(refusal, activity)) });
        }
        if !host::is_clear(request.version(), request.headers()) {
            return Box::pin(async { Ok(answer(host::refuse(), activity)) });
        }
        let mut request =
            request.map(|body| axum::body::Body::new(TimeoutBody::new(body, &self.limits)));
        request.extensions_mut().insert(ConnectInfo(self.peer));
        let wants_chunks = takeover::wants_chunks(&request);
        let router = self.router.clone();
        let pending = self.takeover.clone();
        Box::pin(async move {
            let mut response = router.oneshot(request).await?;
            let takeover = response.extensions_mut().remove::<Takeover>();
            match takeover.filter(|_| wants_chunks && takeover::is_plain(&response)) {
                Some(takeover) => {
                    pending.set(takeover);
                    Ok(take_over(response, activity))
                }
                None => Ok(answer(response, activity)),
            }
        })
    }
}

fn answer(response: Response<axum::body::Body>, activity: Arc<Activity>) -> Response<ResponseBody> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        activity.was_upgraded();
    }
    response.map(|body| ResponseBody::new(body, activity))
}

/// A response whose body a takeover writes: HTTP ends with its head.
fn take_over<B>(response: Response<B>, activity: Arc<Activity>) -> Response<ResponseBody> {
    activity.was_upgraded();
    let mut response = response.map(|_| ResponseBody::taken_over(activity));
    // No other request can follow on this connection.
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

fn uri_bytes<B>(request: &Request<B>) -> usize {
    request
        .uri()
        .path_and_query()
        .map_or(0, |path| path.as_str().len())
}
