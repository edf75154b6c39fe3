//! The polling transport: our additions to the engine's.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use socketioxide::socket::Sid;
use tokio::time::Instant;

use super::refusal::Refusal;
use crate::{
    deadline,
    http::{ReceivedBody, read},
    quota::HeldBytes,
    transport::{
        limits::{MESSAGE_BYTES_MAX, Timing},
        socketio::{
            engine::{
                ClientPacket, ClientPacketReader, EngineBridge, EngineResponse, Opening, Packet,
                SEPARATOR, with_our_limits,
            },
            feed::FeedSession,
            limits::{BODY_TIMEOUT, POLLING_BATCH, UNANSWERED_IN_BODY_MAX},
            session::{Registry, SessionOpener, watch_polling},
        },
        websocket::CloseCode,
    },
};

/// Answers a poll with no packet, so that the client can continue its upgrade.
const NOOP: &[u8] = b"6";
const PING: &[u8] = b"2";
const PONG: &[u8] = b"3";

/// Opens a session.
pub(super) async fn open(
    engine: &EngineBridge,
    registry: &Arc<Registry<FeedSession>>,
    timing: Timing,
    opener: SessionOpener,
) -> Result<Response<Body>, Refusal> {
    let session = FeedSession::open(registry, engine, opener).ok_or(Refusal::TooManySessions)?;
    let opening = Opening {
        extension: Arc::clone(&session),
        bearer: session.bearer.as_deref(),
    };
    let mut response = engine.open_polling(opening).await;
    response.body = with_our_limits(&response.body, timing.ping_timeout);
    if let Some(sid) = sid_of(&response.body) {
        session.set_sid(sid);
        watch_polling(&session, timing);
    }
    Ok(respond(response))
}

/// Waits for packets to the client.
pub(super) async fn poll(
    engine: &EngineBridge,
    session: &FeedSession,
    sid: Sid,
) -> Result<Response<Body>, Refusal> {
    loop {
        let mut response = tokio::select! {
            response = engine.poll(sid) => response,
            () = session.poll_must_end() => noop(),
        };
        if response.status != StatusCode::OK {
            return Err(refused(&response));
        }
        let has_ping = packets(&response.body).any(|packet| packet == PING);
        if has_ping {
            // The session decides whether the client is there.
            engine.post(sid, Bytes::from_static(PONG)).await;
        }
        let first_ping = has_ping && session.claim_first_ping();
        if first_ping {
            response.body = without_ping(&response.body);
        }
        count_sent(session, &response.body);
        if !(first_ping && response.body.is_empty()) {
            return Ok(respond(response));
        }
    }
}

/// Takes packets from the client, in batches: the next batch waits until the socket has answered enough of the last.
/// So a body full of requests is answered in order and does not overflow the queue.
pub(super) async fn post(
    engine: &EngineBridge,
    session: &FeedSession,
    sid: Sid,
    body: Body,
    held: HeldBytes,
) -> Result<Response<Body>, Refusal> {
    let ReceivedBody { bytes, held } = read_body(body, held).await?;
    // It counts until all of it was answered.
    let _held = held;
    let mut body = Vec::from(bytes);
    let all = body.split_mut(|byte| *byte == SEPARATOR).map(|packet| {
        let kind = ClientPacketReader::read(packet);
        (kind, &*packet)
    });
    let all: Vec<(ClientPacket, &[u8])> = all.collect();
    let unanswered = all
        .iter()
        .filter(|(kind, _)| *kind == ClientPacket::Unanswered);
    if unanswered.count() as u64 > UNANSWERED_IN_BODY_MAX {
        return Err(too_many(session));
    }
    for batch in all.chunks(POLLING_BATCH) {
        let now = Instant::now();
        let mut kinds = batch.iter().map(|(kind, _)| *kind);
        let counted = kinds.try_for_each(|kind| session.flow.count_packet(kind, now));
        if counted.is_err() {
            return Err(too_many(session));
        }
        let room = tokio::time::timeout(BODY_TIMEOUT, session.flow.may_read()).await;
        match room {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(Refusal::UnknownSession),
            Err(_) => return Err(Refusal::TooSlow),
        }
        let packets: Vec<_> = batch.iter().map(|(_, packet)| *packet).collect();
        let response = engine.post(sid, packets.join(&SEPARATOR).into()).await;
        if response.status != StatusCode::OK {
            return Err(refused(&response));
        }
    }
    Ok(respond(EngineResponse {
        status: StatusCode::OK,
        body: Bytes::from_static(b"ok"),
    }))
}

/// Ends the session of a client that sends too many packets.
fn too_many(session: &FeedSession) -> Refusal {
    session.close(CloseCode::Policy);
    Refusal::TooManyPackets
}

/// Reads a body, with limits on its size and time.
async fn read_body(body: Body, held: HeldBytes) -> Result<ReceivedBody, Refusal> {
    match deadline::timeout(BODY_TIMEOUT, read(body, MESSAGE_BYTES_MAX, held)).await {
        Ok(read) => read.map_err(Refusal::from),
        Err(_) => Err(Refusal::TooSlow),
    }
}

/// Translates a refusal of the engine to one of ours, which always has a body.
fn refused(response: &EngineResponse) -> Refusal {
    if response.status == StatusCode::PAYLOAD_TOO_LARGE {
        Refusal::TooLarge
    } else if response.body.starts_with(br#"{"code":"1""#) {
        Refusal::UnknownSession
    } else {
        Refusal::BadRequest
    }
}

fn respond(engines: EngineResponse) -> Response<Body> {
    let mut response = Response::new(Body::from(engines.body));
    *response.status_mut() = engines.status;
    let headers = response.headers_mut();
    let text = HeaderValue::from_static("text/plain; charset=UTF-8");
    headers.insert(header::CONTENT_TYPE, text);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn noop() -> EngineResponse {
    EngineResponse {
        status: StatusCode::OK,
        body: Bytes::from_static(NOOP),
    }
}

fn packets(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    body.split(|byte| *byte == SEPARATOR)
}

fn without_ping(body: &[u8]) -> Bytes {
    let rest: Vec<_> = packets(body).filter(|packet| *packet != PING).collect();
    rest.join(&SEPARATOR).into()
}

fn count_sent(session: &FeedSession, body: &[u8]) {
    let (mut count, mut bytes) = (0, 0);
    for packet in packets(body) {
        match Packet::of(packet) {
            Packet::Feed => {
                count += 1;
                bytes += packet.len();
            }
            Packet::FeedPush => session.flow.pushes_gone(1, packet.len()),
            Packet::FeedConnect => session.flow.record_connect(),
            Packet::FeedDisconnect => session.flow.record_disconnect(),
            Packet::Binary(_) | Packet::Close | Packet::Ping | Packet::Other => {}
        }
    }
    if !body.is_empty() {
        session.flow.sent(count, bytes);
    }
}

/// The id in an open packet: `0{"sid":"…",…}`.
fn sid_of(open: &[u8]) -> Option<Sid> {
    #[derive(serde::Deserialize)]
    struct Open {
        sid: Sid,
    }
    let open = serde_json::from_slice::<Open>(open.strip_prefix(b"0")?).ok()?;
    Some(open.sid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ping_leaves_the_other_packets_alone() {
        assert_eq!(without_ping(b"2").as_ref(), b"");
        assert_eq!(
            without_ping(b"40{}\x1e2\x1e42[\"2\"]").as_ref(),
            b"40{}\x1e42[\"2\"]"
        );
    }

    #[test]
    fn the_id_is_found_in_the_open_packet() {
        let open = br#"0{"sid":"AA9AAA0AAzAAAAHs","upgrades":["websocket"]}"#;
        assert_eq!(sid_of(open).unwrap().as_str(), "AA9AAA0AAzAAAAHs");
        assert!(sid_of(b"0{}").is_none());
    }
}
