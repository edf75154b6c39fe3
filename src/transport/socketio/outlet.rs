//! The way out for one feed socket: straight to the connection where nothing is in the way, else through the
//! engine, when there is room and counted.

use std::sync::Arc;

use serde_json::value::RawValue;
use socketioxide::{
    SendError, SocketError,
    adapter::LocalAdapter,
    extract::AckSender,
    handler::{FromMessageParts, Value},
    socket::Socket,
};

use super::{direct::Direct, flow::Gone, session::Session};
use crate::feed::{Batch, Sink};

/// What an event adds to its name and payload: `42/feed,["name",payload]`.
const EVENT_BYTES: usize = 13;
/// What an ack adds to its number and payload: `43/feed,7[payload]`.
const ACK_BYTES: usize = 10;

/// Writes to one socket, in the order of its calls.
pub(super) struct Outlet {
    socket: Arc<Socket<LocalAdapter>>,
    session: Arc<Session>,
    direct: Direct,
}

impl Outlet {
    /// `admission`: which of the session's feed sockets it is for.
    pub(super) fn new(
        socket: Arc<Socket<LocalAdapter>>,
        session: Arc<Session>,
        admission: u32,
    ) -> Self {
        let direct = Direct::new(Arc::clone(&session), admission);
        Self {
            socket,
            session,
            direct,
        }
    }

    pub(super) fn socket(&self) -> &Socket<LocalAdapter> {
        &self.socket
    }

    pub(super) fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// Where messages are written without a task.
    pub(super) fn direct(&self) -> Direct {
        self.direct.clone()
    }

    /// Writes messages of the feed past the engine, unless something is in the way: whether it did.
    pub(super) fn writes(&self, batch: &Batch) -> bool {
        self.direct.offer(batch)
    }

    /// Emits an event as soon as there is room for it. Cancel-safe: it is emitted, or it is not.
    pub(super) async fn emit(&self, event: &str, payload: &RawValue) -> Result<(), Gone> {
        let bytes = payload.get().len() + event.len() + EVENT_BYTES;
        self.send(bytes, || self.socket.emit(event, payload)).await
    }

    /// Answers a request as soon as there is room. Cancel-safe.
    pub(super) async fn acknowledge(&self, ack: i64, answer: &RawValue) -> Result<(), Gone> {
        let digits = ack.checked_ilog10().map_or(1, |log| log as usize + 1);
        let bytes = answer.get().len() + digits + ACK_BYTES;
        self.send(bytes, || self.ack_sender(ack).send(answer)).await
    }

    /// Emits an event if it fits just now, as a last word.
    pub(super) fn emit_now(&self, event: &str, payload: &RawValue) {
        let bytes = payload.get().len() + event.len() + EVENT_BYTES;
        // Nothing is owed: a client that does not get it finds out by the close.
        let _: Result<(), SendError> = self.count(bytes, || self.socket.emit(event, payload));
    }

    async fn send(
        &self,
        bytes: usize,
        send: impl Fn() -> Result<(), SendError>,
    ) -> Result<(), Gone> {
        let flow = &self.session.flow;
        loop {
            flow.room().await?;
            let progress = flow.sent_more();
            match self.count(bytes, &send) {
                Ok(()) => return Ok(()),
                // Others emit to this connection too, and may have filled the engine's channel.
                Err(SendError::Socket(SocketError::InternalChannelFull)) => progress.await,
                Err(_) => return Err(Gone),
            }
        }
    }

    /// Counts first: the packet may be written before its emitter goes on.
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

    /// A sender is used up by a failure, so each attempt gets its own.
    fn ack_sender(&self, ack: i64) -> AckSender {
        let mut value = Value::Bytes(bytes::Bytes::new());
        match AckSender::from_message_parts(&self.socket, &mut value, &Some(ack)) {
            Ok(sender) => sender,
            Err(never) => match never {},
        }
    }
}
