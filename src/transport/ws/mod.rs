//! Plain WebSocket (RFC 6455): what `new WebSocket(url)` speaks, with a JSON message in each text frame.

mod frames;
mod guarded;
mod heartbeat;
mod request;
mod socket;

use axum::{
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, header};
use hyper::upgrade::OnUpgrade;

use super::{
    Transports,
    handshake::{Handshake, NoWebSocket, has_token},
    limits::UPGRADE_TIMEOUT,
    opening::Opening,
    wire::Wire,
};
use crate::api::Problem;
use guarded::Guarded;
use socket::Socket;

/// The subprotocol, for clients that ask for one.
const PROTOCOL: &str = "tallycast.v1";

/// `GET /v1/feeds/{account}/ws`.
pub(super) async fn follow(
    State(transports): State<Transports>,
    opening: Opening,
    mut request: Request,
) -> Result<Response, Problem> {
    let opening = opening.without_callback()?;
    let handshake = Handshake::check(request.headers())?;
    let protocol = protocol(request.headers())?;
    // Absent where the connection cannot be taken over: HTTP/2, a test without a socket.
    let upgrade = request
        .extensions_mut()
        .remove::<OnUpgrade>()
        .ok_or(NoWebSocket::Malformed)?;
    let mut answer = handshake.answer();
    if let Some(protocol) = protocol {
        let headers = answer.headers_mut();
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    let sockets = transports.sockets.clone();
    sockets.spawn(async move {
        let Ok(Ok(upgraded)) = tokio::time::timeout(UPGRADE_TIMEOUT, upgrade).await else {
            return;
        };
        let (wire, early) = Wire::new(upgraded);
        let guarded = Guarded::new(wire, early, transports.timing.write_stall);
        Socket::new(transports, opening, guarded)
            .await
            .serve()
            .await;
    });
    Ok(answer.into_response())
}

/// The subprotocol to answer with: ours, where it was offered.
fn protocol(headers: &HeaderMap) -> Result<Option<HeaderValue>, Problem> {
    let name = header::SEC_WEBSOCKET_PROTOCOL;
    if !headers.contains_key(&name) {
        return Ok(None);
    }
    if has_token(headers, name, PROTOCOL) {
        return Ok(Some(HeaderValue::from_static(PROTOCOL)));
    }
    // A browser fails a connection that answers none of what it offered; better to say why.
    Err(Problem::bad_request(
        "unknown_subprotocol",
        "offer the subprotocol tallycast.v1, or none",
    ))
}

impl From<NoWebSocket> for Problem {
    fn from(why: NoWebSocket) -> Self {
        match why {
            NoWebSocket::Malformed => Self::bad_request(
                "not_a_websocket",
                "open a WebSocket here: GET with Connection: Upgrade, Upgrade: websocket and a key",
            ),
            NoWebSocket::Version => Self::websocket_version(),
        }
    }
}
