//! The polling transport: what our front adds to the engine's.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use socketioxide::socket::Sid;

use super::{
    engine::{Answer, Engine, SEPARATOR, with_our_limit},
    limits::{BODY_TIMEOUT, MESSAGE_BYTES_MAX, POLLING_BATCH},
    packet::Packet,
    refusal::Refusal,
    session::Session,
    sessions::Sessions,
};

/// Answers a poll with whatever it takes to say "nothing for now, go on with your upgrade".
const NOOP: &[u8] = b"6";
const PING: &[u8] = b"2";
const PONG: &[u8] = b"3";

/// Opens a session.
pub(super) async fn open(
    engine: &Engine,
    sessions: &Arc<Sessions>,
    bearer: Option<Box<str>>,
) -> Result<Response<Body>, Refusal> {
    let session = sessions
        .open(engine, bearer)
        .ok_or(Refusal::TooManySessions)?;
    let mut answer = engine.open_polling(&session).await;
    answer.body = with_our_limit(&answer.body);
    if let Some(sid) = sid_of(&answer.body) {
        sessions.name(&session, sid);
    }
    Ok(respond(answer))
}

/// Waits for packets to the client.
pub(super) async fn poll(
    engine: &Engine,
    session: &Session,
    sid: Sid,
) -> Result<Response<Body>, Refusal> {
    loop {
        let mut answer = tokio::select! {
            answer = engine.poll(sid) => answer,
            () = session.poll_must_yield() => noop(),
        };
        if answer.status != StatusCode::OK {
            return Err(refused(&answer));
        }
        let first_ping = session.expects_first_ping()
            && packets(&answer.body).any(|packet| packet == PING)
            && session.claim_first_ping();
        if first_ping {
            answer.body = without_ping(&answer.body);
            engine.post(sid, Bytes::from_static(PONG)).await;
        }
        note_sent(session, &answer.body);
        if !(first_ping && answer.body.is_empty()) {
            return Ok(respond(answer));
        }
    }
}

/// Takes packets from the client: in batches, each once the socket has answered enough of the
/// former, so that a body full of requests is answered in order and without a crowd.
pub(super) async fn post(
    engine: &Engine,
    session: &Session,
    sid: Sid,
    body: Body,
) -> Result<Response<Body>, Refusal> {
    let body = read_body(body).await?;
    let all: Vec<_> = packets(&body).collect();
    for batch in all.chunks(POLLING_BATCH) {
        let room = tokio::time::timeout(BODY_TIMEOUT, session.flow.may_read()).await;
        match room {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(Refusal::UnknownSession),
            Err(_) => return Err(Refusal::TooSlow),
        }
        let answer = engine.post(sid, batch.join(&SEPARATOR).into()).await;
        if answer.status != StatusCode::OK {
            return Err(refused(&answer));
        }
    }
    Ok(respond(Answer {
        status: StatusCode::OK,
        body: Bytes::from_static(b"ok"),
    }))
}

/// Reads a body of at most the payload limit, whatever it declared, and not for ever.
async fn read_body(body: Body) -> Result<Bytes, Refusal> {
    if body.size_hint().lower() > MESSAGE_BYTES_MAX as u64 {
        return Err(Refusal::TooLarge);
    }
    let limited = Limited::new(body, MESSAGE_BYTES_MAX);
    match tokio::time::timeout(BODY_TIMEOUT, limited.collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refusal::TooLarge),
        Ok(Err(_)) => Err(Refusal::BadRequest),
        Err(_) => Err(Refusal::TooSlow),
    }
}

/// The engine's refusals, in our words and with a body in every case.
fn refused(answer: &Answer) -> Refusal {
    if answer.status == StatusCode::PAYLOAD_TOO_LARGE {
        Refusal::TooLarge
    } else if answer.body.starts_with(br#"{"code":"1""#) {
        Refusal::UnknownSession
    } else {
        Refusal::BadRequest
    }
}

fn respond(answer: Answer) -> Response<Body> {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    let text = HeaderValue::from_static("text/plain; charset=UTF-8");
    headers.insert(header::CONTENT_TYPE, text);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn noop() -> Answer {
    Answer {
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

fn note_sent(session: &Session, body: &[u8]) {
    let (mut count, mut bytes) = (0, 0);
    for packet in packets(body) {
        match Packet::of(packet) {
            Packet::Feed => {
                count += 1;
                bytes += packet.len();
            }
            Packet::FeedPush => session.flow.pushes_gone(1, packet.len()),
            Packet::FeedConnect => session.flow.let_in(),
            Packet::FeedDisconnect => session.flow.showed_out(),
            Packet::Binary(_) | Packet::Close | Packet::Other => {}
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
