//! Plain WebSocket (RFC 6455), as `new WebSocket(url)` speaks it: each text frame holds one JSON message.

mod checked_stream;
mod close_code;
mod connection;
mod encoding;
mod frame;
mod handshake;
mod heartbeat;
mod inbound;
mod request;

use axum::{
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, header};
use hyper::upgrade::OnUpgrade;

pub(super) use close_code::CloseCode;
pub(super) use frame::{
    BINARY, CLOSE, CONTINUATION, HEADER_BYTES_MAX, OutboundTracker, PING, PONG, PassedFrame, TEXT,
    text_header,
};
pub(super) use handshake::{Handshake, HandshakeError};
pub(super) use inbound::{InboundFrame, InboundTracker};

use self::{checked_stream::CheckedStream, connection::WebSocketConnection, handshake::has_token};
use super::{follow::FollowRequest, limits::UPGRADE_TIMEOUT, state::TransportState, wire::Wire};
use crate::http::Problem;

/// The subprotocol, for clients that request one.
const PROTOCOL: &str = "tallycast.v1";

/// `GET /v1/feeds/{account}/ws`.
pub(super) async fn follow(
    State(state): State<TransportState>,
    follow: FollowRequest,
    mut request: Request,
) -> Result<Response, Problem> {
    let follow = follow.common()?;
    let handshake = Handshake::check(request.headers())?;
    let protocol = choose_protocol(request.headers())?;
    // Absent where the connection cannot be taken over: HTTP/2, or a test without a socket.
    let upgrade = request
        .extensions_mut()
        .remove::<OnUpgrade>()
        .ok_or(HandshakeError::Malformed)?;
    let mut response = handshake.answer();
    if let Some(protocol) = protocol {
        let headers = response.headers_mut();
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    let connections = state.connections.clone();
    connections.spawn(async move {
        let Ok(Ok(upgraded)) = tokio::time::timeout(UPGRADE_TIMEOUT, upgrade).await else {
            return;
        };
        let (wire, early) = Wire::new(upgraded);
        let stream = CheckedStream::new(wire, early, state.timing.write_stall);
        WebSocketConnection::new(state, follow, stream)
            .await
            .serve()
            .await;
    });
    Ok(response.into_response())
}

/// The subprotocol of the response: ours, if the client offered it.
fn choose_protocol(headers: &HeaderMap) -> Result<Option<HeaderValue>, Problem> {
    let name = header::SEC_WEBSOCKET_PROTOCOL;
    if !headers.contains_key(&name) {
        return Ok(None);
    }
    if has_token(headers, name, PROTOCOL) {
        return Ok(Some(HeaderValue::from_static(PROTOCOL)));
    }
    // A browser fails a connection whose response selects none of the offered subprotocols. An error says why.
    Err(Problem::bad_request(
        "unknown_subprotocol",
        "offer the subprotocol tallycast.v1, or none",
    ))
}

impl From<HandshakeError> for Problem {
    fn from(error: HandshakeError) -> Self {
        match error {
            HandshakeError::Malformed => Self::bad_request(
                "not_a_websocket",
                "open a WebSocket here: GET with Connection: Upgrade, Upgrade: websocket and a key",
            ),
            HandshakeError::Version => Self::websocket_version(),
        }
    }
}
