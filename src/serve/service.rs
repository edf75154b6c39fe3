use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::response::IntoResponse;
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use tower::ServiceExt;

use super::activity::Activity;
use super::body::{AnswerBody, SteadyBody};
use super::handover::{self, Handover};
use super::limits::Limits;

/// What hyper calls for each request of one connection.
pub(super) struct Requests {
    pub(super) router: Router,
    pub(super) peer: SocketAddr,
    pub(super) activity: Arc<Activity>,
    pub(super) limits: Arc<Limits>,
}

impl hyper::service::Service<Request<Incoming>> for Requests {
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.activity.request_came();
        let activity = Arc::clone(&self.activity);
        if uri_bytes(&request) > self.limits.uri_bytes_max {
            let close = [(header::CONNECTION, "close")];
            let refusal = (StatusCode::URI_TOO_LONG, close).into_response();
            return Box::pin(async { Ok(answer(refusal, activity)) });
        }
        let mut request =
            request.map(|body| axum::body::Body::new(SteadyBody::new(body, &self.limits)));
        request.extensions_mut().insert(ConnectInfo(self.peer));
        let wants_chunks = handover::wants_chunks(&request);
        let router = self.router.clone();
        Box::pin(async move {
            let mut response = router.oneshot(request).await?;
            let handover = response.extensions_mut().remove::<Handover>();
            match handover.filter(|_| wants_chunks && handover::is_plain(&response)) {
                Some(handover) => Ok(hand_over(response, handover, activity)),
                None => Ok(answer(response, activity)),
            }
        })
    }
}

fn answer(response: Response<axum::body::Body>, activity: Arc<Activity>) -> Response<AnswerBody> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        activity.was_upgraded();
    }
    response.map(|body| AnswerBody::new(body, activity))
}

fn hand_over<B>(
    response: Response<B>,
    handover: Handover,
    activity: Arc<Activity>,
) -> Response<AnswerBody> {
    activity.hands_over(handover);
    let mut response = response.map(|_| AnswerBody::written_by_another(activity));
    // No other request can follow.
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
