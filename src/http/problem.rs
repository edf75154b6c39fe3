use std::{borrow::Cow, time::Duration};

use axum::response::{IntoResponse, Response};
use http::{
    HeaderValue, StatusCode,
    header::{self, CACHE_CONTROL, CONTENT_TYPE, SEC_WEBSOCKET_VERSION, UPGRADE, WWW_AUTHENTICATE},
};
use serde::Serialize;

use crate::{
    access::Denied,
    domain::Invalid,
    feed::{AppendError, PastTotalsError, ProfileError, RevokeError},
    ledger::Unavailable,
    quota::TooMany,
};

/// `Retry-After` when the server is the reason for the refusal: long enough for a restart or for freeing disk space,
/// short enough for a waiting customer.
const RETRY_AFTER_SECONDS: u64 = 2;

/// The most characters of a detail. It may quote a name from the request, which is as long as its sender likes.
const DETAIL_CHARS_MAX: usize = 400;

/// A refusal, sent as problem JSON (RFC 9457). Status codes are chosen here, except those of
/// Engine.IO's own refusals (`socketio/http/refusal.rs`) and of the accept loop.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    /// `Retry-After`, in seconds.
    retry_after: Option<u64>,
}

impl Problem {
    /// A malformed request: its syntax, its query, its path.
    pub(crate) fn bad_request(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// A WebSocket version other than 13.
    pub(crate) fn websocket_version() -> Self {
        Self::new(
            StatusCode::UPGRADE_REQUIRED,
            "websocket_version",
            "this server speaks version 13 of the WebSocket protocol",
        )
    }

    /// A body or an event above its size limit.
    pub(crate) fn too_large(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, code, detail)
    }

    /// A media type or encoding that is not supported.
    pub(crate) fn unsupported(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, code, detail)
    }

    /// An account that the caller may not use. The answer is the same whether it exists or not.
    pub(crate) fn not_found() -> Self {
        let absent = not_found();
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            absent.message().to_owned(),
        )
    }

    /// A method that the path does not support.
    pub(crate) fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "this path does not take this method; the Allow header names those that it takes",
        )
    }

    /// `If-Match` names another revision than the current one.
    pub(crate) fn edited_meanwhile() -> Self {
        Self::new(
            StatusCode::PRECONDITION_FAILED,
            "revision_mismatch",
            "the profile was edited meanwhile: read it again",
        )
    }

    /// The access check did not answer in time.
    pub(crate) fn access_unavailable() -> Self {
        Self {
            retry_after: Some(RETRY_AFTER_SECONDS),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "access_unavailable",
                "the token could not be checked right now; send the request again",
            )
        }
    }

    /// The body of a request does not arrive in time.
    pub(crate) fn body_too_slow() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "body_too_slow",
            "the body took too long: nothing was recorded, send it again, or in parts",
        )
    }

    /// The caller asks for too much at once, or too often.
    pub(crate) fn too_many_requests(retry_after: Duration) -> Self {
        // Rounded up: a client that comes back a moment too early is refused again.
        let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
        Self {
            retry_after: Some(seconds.max(1)),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_requests",
                "too many requests: take the answers of the earlier ones, and send this one again after Retry-After",
            )
        }
    }

    /// The hub is closing.
    pub(crate) fn closing() -> Self {
        Self::from(Unavailable::Closed)
    }

    fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        let mut detail = detail.into();
        if let Some((end, _)) = detail.char_indices().nth(DETAIL_CHARS_MAX) {
            detail = Cow::Owned(format!("{}…", &detail[..end]));
        }
        Self {
            status,
            code,
            detail,
            retry_after: None,
        }
    }
}

/// The refusal for an account that the caller may not use, for one item of a batch or a whole request.
pub(crate) fn not_found() -> Invalid {
    Invalid::new(
        "not_found",
        "there is no such account, or this token may not do this with it",
    )
}

impl From<Invalid> for Problem {
    /// A request that was understood but cannot be accepted.
    fn from(invalid: Invalid) -> Self {
        let status = match invalid.code() {
            "malformed_json" | "invalid_push" | "reserved_event" | "invalid_budget"
            | "too_many_budgets" | "name_too_long" | "unknown_time_zone" | "invalid_revocation" => {
                StatusCode::BAD_REQUEST
            }
            "not_found" | "unknown_namespace" => StatusCode::NOT_FOUND,
            "conflict" => StatusCode::CONFLICT,
            "revision_mismatch" => StatusCode::PRECONDITION_FAILED,
            "event_too_large" => StatusCode::PAYLOAD_TOO_LARGE,
            "too_many_revocations" => StatusCode::INSUFFICIENT_STORAGE,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::new(status, invalid.code(), invalid.message().to_owned())
    }
}

impl From<Denied> for Problem {
    /// The reason is only logged. The caller gets the same body for all of them.
    fn from(denied: Denied) -> Self {
        tracing::debug!(
            code = denied.code(),
            reason = denied.reason(),
            "refused a caller"
        );
        metrics::counter!("tallycast_denied_total", "code" => denied.code()).increment(1);
        if denied.code() == "unauthorized" {
            return Self::new(
                StatusCode::UNAUTHORIZED,
                denied.code(),
                "a valid token is needed, as Authorization: Bearer",
            );
        }
        Self::new(
            StatusCode::FORBIDDEN,
            denied.code(),
            "pages of this origin may not call; the server's allowed_origins names those that may",
        )
    }
}

impl From<TooMany> for Problem {
    fn from(too_many: TooMany) -> Self {
        let status = match too_many {
            TooMany::OfClient(_) => StatusCode::TOO_MANY_REQUESTS,
            TooMany::OfAll => StatusCode::SERVICE_UNAVAILABLE,
        };
        let invalid = Invalid::from(too_many);
        Self {
            retry_after: Some(too_many.retry_after_seconds()),
            ..Self::new(status, invalid.code(), invalid.message().to_owned())
        }
    }
}

impl From<AppendError> for Problem {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Conflict(refused) | AppendError::Rejected(refused) => refused.into(),
            AppendError::Unavailable(unavailable) => unavailable.into(),
        }
    }
}

impl From<ProfileError> for Problem {
    fn from(error: ProfileError) -> Self {
        match error {
            ProfileError::Rejected(refused) => refused.into(),
            ProfileError::Unavailable(unavailable) => unavailable.into(),
        }
    }
}

impl From<RevokeError> for Problem {
    fn from(error: RevokeError) -> Self {
        match error {
            RevokeError::Rejected(refused) => refused.into(),
            RevokeError::Unavailable(unavailable) => unavailable.into(),
        }
    }
}

impl From<PastTotalsError> for Problem {
    fn from(error: PastTotalsError) -> Self {
        match error {
            PastTotalsError::Rejected(refused) => refused.into(),
            PastTotalsError::Unavailable(unavailable) => unavailable.into(),
        }
    }
}

impl IntoResponse for AppendError {
    /// The answer of `POST /v1/events`, so that a host's handler can return the error as it is.
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}

impl IntoResponse for PastTotalsError {
    /// The answer of `GET /v1/accounts/{account}/totals`, so that a host's handler can return the error as it is.
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}

impl IntoResponse for ProfileError {
    /// The answer of `PUT /v1/accounts/{account}`, so that a host's handler can return the error as it is.
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}

impl From<Unavailable> for Problem {
    fn from(unavailable: Unavailable) -> Self {
        let status = match unavailable {
            Unavailable::TooManyRequests { retry_after } => {
                return Self::too_many_requests(retry_after);
            }
            Unavailable::DiskFull => StatusCode::INSUFFICIENT_STORAGE,
            Unavailable::Unsupported => StatusCode::NOT_IMPLEMENTED,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self {
            retry_after: (status != StatusCode::NOT_IMPLEMENTED).then_some(RETRY_AFTER_SECONDS),
            ..Self::new(status, unavailable.code(), unavailable.to_string())
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code,
            detail: &self.detail,
        };
        let json = serde_json::to_vec(&body).expect("strings and numbers are JSON");
        let mut response = (self.status, json).into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UPGRADE_REQUIRED {
            headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// A request that was refused, as RFC 9457 has it.
#[derive(Serialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "Problem")
)]
pub(crate) struct ProblemBody<'a> {
    /// Always `about:blank`: the `code` says it.
    r#type: &'static str,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// Stable, for programs.
    code: &'static str,
    /// What to do about it, for people.
    detail: &'a str,
}
