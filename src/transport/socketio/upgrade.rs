//! The WebSocket upgrade (RFC 6455 section 4), done by us so that the stream is ours.

use std::sync::Arc;

use axum::body::Body;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use sha1::{Digest, Sha1};

use super::{
    conn::Conn,
    engine::Engine,
    guarded::Guarded,
    limits::{Timing, UPGRADE_TIMEOUT},
    probe,
    refusal::Refusal,
    session::{Probe, Session},
    wire::Wire,
};

/// The constant that a key is hashed with (RFC 6455 section 1.3).
const ACCEPT_GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const KEY_BYTES: usize = 16;

/// What the new WebSocket is for.
pub(super) enum Purpose {
    NewSession(Arc<Session>),
    Upgrade(Probe),
}

/// Checks that this is a WebSocket request. Nothing has happened when it is not.
pub(super) fn check(headers: &HeaderMap) -> Result<(), Refusal> {
    let wants = |name, token| has_token(headers, name, token);
    if !wants(header::CONNECTION, "upgrade") || !wants(header::UPGRADE, "websocket") {
        return Err(Refusal::BadRequest);
    }
    match headers
        .get(header::SEC_WEBSOCKET_VERSION)
        .map(HeaderValue::as_bytes)
    {
        Some(b"13") => {}
        _ => return Err(Refusal::WebSocketVersion),
    }
    let key = headers
        .get(header::SEC_WEBSOCKET_KEY)
        .ok_or(Refusal::BadRequest)?;
    match STANDARD.decode(key) {
        Ok(key) if key.len() == KEY_BYTES => Ok(()),
        _ => Err(Refusal::BadRequest),
    }
}

/// Answers 101 and, once HTTP has let go of the stream, gives it to the engine.
pub(super) fn accept(
    engine: &Engine,
    timing: Timing,
    mut request: Request<Body>,
    purpose: Purpose,
) -> Result<Response<Body>, Refusal> {
    let key = request
        .headers()
        .get(header::SEC_WEBSOCKET_KEY)
        .ok_or(Refusal::BadRequest)?;
    let answer = switching_protocols(key);
    // Absent where the connection cannot be taken over (HTTP/2, a test without a socket).
    let upgrade = request
        .extensions_mut()
        .remove::<OnUpgrade>()
        .ok_or(Refusal::BadRequest)?;
    drop(request);
    let engine = engine.clone();
    // Owned by nobody but short: it ends when the engine has the stream, or after two timeouts.
    tokio::spawn(async move {
        let Ok(Ok(upgraded)) = tokio::time::timeout(UPGRADE_TIMEOUT, upgrade).await else {
            return;
        };
        let (wire, early) = Wire::new(upgraded);
        match purpose {
            Purpose::NewSession(session) => begin(&engine, timing, &session, wire, early),
            Purpose::Upgrade(probe) => upgrade_session(&engine, timing, probe, wire, early).await,
        }
    });
    Ok(answer)
}

fn begin(engine: &Engine, timing: Timing, session: &Arc<Session>, wire: Wire, early: Bytes) {
    let conn = Conn::new(wire, early, Arc::clone(&session.flow), timing.write_stall);
    session.claim_first_ping();
    serve(engine, session, conn, None);
}

/// Moves a polling session to a WebSocket, once its client has really asked for it.
async fn upgrade_session(
    engine: &Engine,
    timing: Timing,
    probe: Probe,
    mut wire: Wire,
    early: Bytes,
) {
    let session = Arc::clone(probe.session());
    let probing = probe::run(&mut wire, early);
    let Ok(Some(seen)) = tokio::time::timeout(UPGRADE_TIMEOUT, probing).await else {
        return;
    };
    let Some(sid) = session.sid() else { return };
    let conn = Conn::new(wire, seen, Arc::clone(&session.flow), timing.write_stall);
    let mut conn = conn.swallow(probe::ANSWER.len());
    if !session.claim_first_ping() {
        conn = conn.without_first_ping();
    }
    serve(engine, &session, conn, Some(sid));
}

fn serve(
    engine: &Engine,
    session: &Arc<Session>,
    conn: Conn,
    sid: Option<socketioxide::socket::Sid>,
) {
    let conn = Arc::new(conn);
    session.set_conn(Arc::clone(&conn));
    engine.serve_websocket(Guarded::new(conn, session), session, sid);
}

fn switching_protocols(key: &HeaderValue) -> Response<Body> {
    let digest = Sha1::new()
        .chain_update(key.as_bytes())
        .chain_update(ACCEPT_GUID)
        .finalize();
    let accept = HeaderValue::try_from(STANDARD.encode(digest)).expect("base64 is ASCII");
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    response
}

fn has_token(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    let values = headers.get_all(name);
    let mut tokens = values
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','));
    tokens.any(|value| value.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 6455 section 1.3.
    #[test]
    fn the_key_is_answered_as_the_standard_says() {
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        let response = switching_protocols(&key);
        let accept = &response.headers()[header::SEC_WEBSOCKET_ACCEPT];
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
