//! Writes to one feed socket: directly to its connection if nothing is in the way, or else through the engine. There it
//! counts packets and waits for room.

use std::sync::Arc;

use serde_json::value::RawValue;
use socketioxide::{
    SendError, SocketError,
    adapter::LocalAdapter,
    extract::AckSender,
    handler::{FromMessageParts, Value},
    socket::Socket,
};

use super::{bypass_sink::EngineBypassSink, state::FeedSession};
use crate::{
    feed::{Batch, Sink},
    transport::socketio::connection::Gone,
};

/// What an event adds to its name and payload: `42/feed,["name",payload]`.
const EVENT_BYTES: usize = 13;
/// What an ack adds to its number and payload: `43/feed,7[payload]`.
const ACK_BYTES: usize = 10;

/// Writes to one socket, in the order of its calls.
pub(super) struct SocketWriter {
    socket: Arc<Socket<LocalAdapter>>,
    session: Arc<FeedSession>,
    direct: EngineBypassSink,
}

impl SocketWriter {
    /// `admission`: the socket's number among the session's feed sockets.
    pub(super) fn new(
        socket: Arc<Socket<LocalAdapter>>,
        session: Arc<FeedSession>,
        admission: u32,
    ) -> Self {
        let direct = EngineBypassSink::new(Arc::clone(&session), admission);
        Self {
            socket,
            session,
            direct,
        }
    }

    pub(super) fn socket(&self) -> &Socket<LocalAdapter> {
        &self.socket
    }

    pub(super) fn session(&self) -> &Arc<FeedSession> {
        &self.session
    }

    /// The sink for direct delivery.
    pub(super) fn sink(&self) -> EngineBypassSink {
        self.direct.clone()
    }

    /// Writes messages without the engine. Returns false if something is in the way.
    pub(super) fn write_directly(&self, batch: &Batch) -> bool {
        self.direct.offer(batch)
    }

    /// Emits an event once there is room for it. Cancel-safe: it is emitted or not.
    pub(super) async fn emit(&self, event: &str, payload: &RawValue) -> Result<(), Gone> {
        let bytes = payload.get().len() + event.len() + EVENT_BYTES;
        self.send(bytes, || self.socket.emit(event, payload)).await
    }

    /// Answers a request once there is room. Cancel-safe.
    pub(super) async fn acknowledge(&self, ack: i64, answer: &RawValue) -> Result<(), Gone> {
        let digits = ack.checked_ilog10().map_or(1, |log| log as usize + 1);
        let bytes = answer.get().len() + digits + ACK_BYTES;
        self.send(bytes, || self.ack_sender(ack).send(answer)).await
    }

    /// Emits an event if there is room now: for the closing message.
    pub(super) fn emit_now(&self, event: &str, payload: &RawValue) {
        let bytes = payload.get().len() + event.len() + EVENT_BYTES;
        // Best effort: a client that does not get it still sees the close.
        let _: Result<(), SendError> = self.count(bytes, || self.socket.emit(event, payload));
    }

    async fn send(
        &self,
        bytes: usize,
        send: impl Fn() -> Result<(), SendError>,
    ) -> Result<(), Gone> {
        let flow = &self.session.flow;
        loop {
            flow.wait_for_room().await?;
            let progress = flow.sent_more();
            match self.count(bytes, &send) {
                Ok(()) => return Ok(()),
                // A host may emit to this connection too, and have filled the engine's channel.
                Err(SendError::Socket(SocketError::InternalChannelFull)) => progress.await,
                Err(_) => return Err(Gone),
            }
        }
    }

    /// Counts before it sends, since the packet may be written before `send` returns.
    fn count(
        &self,
        bytes: usize,
        send: impl FnOnce() -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        self.session.flow.emitted(bytes);
        let result = send();
        if result.is_err() {
            self.session.flow.not_emitted(bytes);
        }
        result
    }

    /// A failed send consumes its sender, so each attempt gets its own.
    fn ack_sender(&self, ack: i64) -> AckSender {
        let mut value = Value::Bytes(bytes::Bytes::new());
        match AckSender::from_message_parts(&self.socket, &mut value, &Some(ack)) {
            Ok(sender) => sender,
            Err(never) => match never {},
        }
    }
}
