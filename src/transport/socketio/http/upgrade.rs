//! Switches a request from HTTP to a WebSocket, and hands that to the engine.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::{Request, Response};
use hyper::upgrade::OnUpgrade;

use super::{probe, refusal::Refusal};
use crate::{
    deadline,
    transport::{
        limits::{Timing, UPGRADE_TIMEOUT},
        socketio::{
            connection::EngineConnection,
            engine::{EngineBridge, Opening},
            feed::{FeedSession, FeedState},
            session::{EngineStream, Probe},
        },
        websocket::Handshake,
        wire::Wire,
    },
};

/// What the new WebSocket is for.
pub(super) enum Purpose {
    NewSession(Arc<FeedSession>),
    Upgrade(Probe<FeedState>),
}

/// Answers 101 and, once HTTP has released the stream, hands it to the engine.
pub(super) fn accept(
    engine: &EngineBridge,
    timing: Timing,
    handshake: Handshake,
    mut request: Request<Body>,
    purpose: Purpose,
) -> Result<Response<Body>, Refusal> {
    let response = handshake.answer();
    // Absent where the connection cannot be taken over: HTTP/2, or a test without a socket.
    let upgrade = request
        .extensions_mut()
        .remove::<OnUpgrade>()
        .ok_or(Refusal::BadRequest)?;
    drop(request);
    let engine = engine.clone();
    // Detached, but bounded: it ends when the engine has the stream, or after two timeouts.
    tokio::spawn(async move {
        let Ok(Ok(upgraded)) = tokio::time::timeout(UPGRADE_TIMEOUT, upgrade).await else {
            return;
        };
        let (wire, early) = Wire::new(upgraded);
        match purpose {
            Purpose::NewSession(session) => open(&engine, timing, &session, wire, early),
            Purpose::Upgrade(probe) => upgrade_session(&engine, timing, probe, wire, early).await,
        }
    });
    Ok(response)
}

fn open(
    engine: &EngineBridge,
    timing: Timing,
    session: &Arc<FeedSession>,
    wire: Wire,
    early: Bytes,
) {
    let flow = Arc::clone(&session.flow);
    let connection = EngineConnection::new(wire, early, flow, timing);
    session.claim_first_ping();
    let stream = stream(session, connection);
    let opening = Opening {
        extension: Arc::clone(session),
        bearer: session.bearer.as_deref(),
    };
    engine.open_websocket(stream, opening);
}

/// Moves a polling session to a WebSocket, once its client has completed the probe.
async fn upgrade_session(
    engine: &EngineBridge,
    timing: Timing,
    probe: Probe<FeedState>,
    mut wire: Wire,
    early: Bytes,
) {
    let session = Arc::clone(probe.session());
    let probing = probe::run(&mut wire, early);
    let Ok(Some(received)) = deadline::timeout(UPGRADE_TIMEOUT, probing).await else {
        return;
    };
    let Some(sid) = session.sid() else { return };
    let flow = Arc::clone(&session.flow);
    let connection = EngineConnection::new(wire, received, flow, timing);
    let mut connection = connection.swallow(probe::ANSWER.len());
    if !session.claim_first_ping() {
        connection = connection.without_first_ping();
    }
    engine.upgrade(stream(&session, connection), sid);
}

fn stream(session: &Arc<FeedSession>, connection: EngineConnection) -> EngineStream<FeedState> {
    let connection = Arc::new(connection);
    session.set_connection(Arc::clone(&connection));
    EngineStream::new(connection, session)
}
