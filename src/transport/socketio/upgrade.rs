//! From HTTP to a WebSocket that the engine may use.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use hyper::upgrade::OnUpgrade;

use super::{
    conn::Conn,
    engine::Engine,
    guarded::Guarded,
    handshake::Handshake,
    limits::{Timing, UPGRADE_TIMEOUT},
    probe,
    refusal::Refusal,
    session::{Probe, Session},
    wire::Wire,
};

/// What the new WebSocket is for.
pub(super) enum Purpose {
    NewSession(Arc<Session>),
    Upgrade(Probe),
}

/// Answers 101 and, once HTTP has let go of the stream, gives it to the engine.
pub(super) fn accept(
    engine: &Engine,
    timing: Timing,
    handshake: Handshake,
    mut request: Request<Body>,
    purpose: Purpose,
) -> Result<Response<Body>, Refusal> {
    let answer = handshake.answer();
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
