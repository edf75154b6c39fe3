//! The opening handshake of WebSocket (RFC 6455, section 4), done here so that we own the stream.

use axum::body::Body;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use sha1::{Digest, Sha1};

/// The constant that the client's key is hashed with (RFC 6455, section 1.3).
const ACCEPT_GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const KEY_BYTES: usize = 16;

/// Why a request does not open a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HandshakeError {
    /// It is not a handshake, or a malformed one.
    Malformed,
    /// Its protocol version is not 13.
    Version,
}

/// A checked handshake that is still to be answered.
#[derive(Debug)]
pub(crate) struct Handshake {
    accept: HeaderValue,
}

impl Handshake {
    /// Checks a request's headers.
    pub(crate) fn check(headers: &HeaderMap) -> Result<Self, HandshakeError> {
        let wants = |name, token| has_token(headers, name, token);
        if !wants(header::CONNECTION, "upgrade") || !wants(header::UPGRADE, "websocket") {
            return Err(HandshakeError::Malformed);
        }
        if headers
            .get(header::SEC_WEBSOCKET_VERSION)
            .is_none_or(|version| version != "13")
        {
            return Err(HandshakeError::Version);
        }
        let mut keys = headers.get_all(header::SEC_WEBSOCKET_KEY).iter();
        let (Some(key), None) = (keys.next(), keys.next()) else {
            return Err(HandshakeError::Malformed);
        };
        match STANDARD.decode(key) {
            Ok(bytes) if bytes.len() == KEY_BYTES => Ok(Self {
                accept: accept(key),
            }),
            _ => Err(HandshakeError::Malformed),
        }
    }

    /// The response that switches the connection to WebSocket.
    pub(crate) fn answer(self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, self.accept);
        response
    }
}

/// Whether a header lists this token, ignoring case.
pub(crate) fn has_token(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    let values = headers.get_all(name);
    let mut tokens = values
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','));
    tokens.any(|value| value.trim().eq_ignore_ascii_case(token))
}

fn accept(key: &HeaderValue) -> HeaderValue {
    let digest = Sha1::new()
        .chain_update(key.as_bytes())
        .chain_update(ACCEPT_GUID)
        .finalize();
    HeaderValue::try_from(STANDARD.encode(digest)).expect("base64 is ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 6455 section 1.3.
    #[test]
    fn the_example_key_has_the_example_answer() {
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept(&key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
