//! Refused Engine.IO requests: a status, and Engine.IO's own error code where it has one.

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};

use crate::{http::BodyError, quota::TooMany, transport::websocket::HandshakeError};

/// Why a request to the engine was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    UnknownTransport,
    UnknownSession,
    BadMethod,
    BadRequest,
    ForeignOrigin,
    UnsupportedProtocol,
    WebSocketVersion,
    TooLarge,
    TooSlow,
    TooManySessions,
    /// The client has used up a quota.
    TooMany(TooMany),
    TooManyPackets,
}

impl From<HandshakeError> for Refusal {
    fn from(error: HandshakeError) -> Self {
        match error {
            HandshakeError::Malformed => Self::BadRequest,
            HandshakeError::Version => Self::WebSocketVersion,
        }
    }
}

impl From<TooMany> for Refusal {
    fn from(too_many: TooMany) -> Self {
        Self::TooMany(too_many)
    }
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge(_) => Self::TooLarge,
            BodyError::Incomplete => Self::BadRequest,
            BodyError::TooSlow => Self::TooSlow,
            BodyError::TooMany(too_many) => Self::TooMany(too_many),
        }
    }
}

impl Refusal {
    fn status(self) -> StatusCode {
        match self {
            Self::UnknownTransport
            | Self::UnknownSession
            | Self::BadMethod
            | Self::BadRequest
            | Self::UnsupportedProtocol => StatusCode::BAD_REQUEST,
            Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::WebSocketVersion => StatusCode::UPGRADE_REQUIRED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TooMany(TooMany::OfClient(_)) => StatusCode::TOO_MANY_REQUESTS,
            Self::TooManySessions | Self::TooMany(TooMany::OfAll) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::TooManyPackets => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// Engine.IO's own code and text, which clients and test suites know.
    fn engine_code(self) -> (u8, &'static str) {
        match self {
            Self::UnknownTransport => (0, "Transport unknown"),
            Self::UnknownSession => (1, "Session ID unknown"),
            Self::BadMethod => (2, "Bad handshake method"),
            Self::ForeignOrigin | Self::TooManySessions | Self::TooMany(_) => (4, "Forbidden"),
            Self::UnsupportedProtocol => (5, "Unsupported protocol version"),
            Self::BadRequest
            | Self::WebSocketVersion
            | Self::TooLarge
            | Self::TooSlow
            | Self::TooManyPackets => (3, "Bad request"),
        }
    }

    /// What to do about it.
    fn hint(self) -> &'static str {
        match self {
            Self::UnknownTransport => "use transport=polling or transport=websocket",
            Self::UnknownSession => "the session has ended: connect again",
            Self::BadMethod => "open a session with GET",
            Self::BadRequest => "the request does not fit its session or its transport",
            Self::ForeignOrigin => "add this Origin to the server's allowed origins",
            Self::UnsupportedProtocol => {
                "this server speaks Engine.IO 4 (EIO=4): use socket.io-client 3 or 4, \
                 socket.io-client-java 2, or socket.io-client-swift with version three"
            }
            Self::WebSocketVersion => "use Sec-WebSocket-Version: 13",
            Self::TooLarge => "send at most maxPayload bytes in one request",
            Self::TooSlow => "send the body without pausing",
            Self::TooManySessions | Self::TooMany(TooMany::OfAll) => {
                "the server is full: try again later"
            }
            Self::TooMany(TooMany::OfClient(_)) => {
                "too_many_requests: try again after the seconds in Retry-After"
            }
            Self::TooManyPackets => {
                "connect again, and send fewer packets: a second has 100 heartbeats and CONNECTs"
            }
        }
    }

    /// The HTTP response.
    pub(super) fn into_response(self) -> Response<Body> {
        let (code, message) = self.engine_code();
        let hint = self.hint();
        let body = serde_json::json!({ "code": code, "message": message, "hint": hint });
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self {
            Self::WebSocketVersion => {
                let version = HeaderValue::from_static("13");
                headers.insert(header::SEC_WEBSOCKET_VERSION, version);
            }
            Self::TooManySessions => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            Self::TooMany(too_many) => {
                let seconds = HeaderValue::from(too_many.retry_after_seconds());
                headers.insert(header::RETRY_AFTER, seconds);
            }
            Self::TooManyPackets => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            // The body was not read to its end, so the connection cannot be reused.
            Self::TooLarge | Self::TooSlow => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}
