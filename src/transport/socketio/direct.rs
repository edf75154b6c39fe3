//! The way past the engine: messages of the feed as finished frames, written to the connection by whoever has
//! them, with no channel, copy or other task in between.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    frame::{HEADER_BYTES_MAX, text_header},
    session::Session,
};
use crate::feed::{Batch, Encoding, Message, Sink};

/// What stands before an event's name and after it, and behind its payload.
const OPENING: &[u8] = b"42/feed,[\"";
const MIDDLE: &[u8] = b"\",";
const END: &[u8] = b"]";

/// WebSocket frames with Socket.IO events of the feed. A server's frames have no mask: they are the same bytes
/// for all who get them.
struct Frames;

impl Encoding for Frames {
    fn encode(messages: &[Message]) -> Bytes {
        let length = |message: &Message| {
            let (name, json) = (message.name(), message.json().get());
            OPENING.len() + name.len() + MIDDLE.len() + json.len() + END.len()
        };
        let lengths = messages.iter().map(length);
        let mut bytes = Vec::with_capacity(lengths.map(|packet| HEADER_BYTES_MAX + packet).sum());
        for message in messages {
            let (name, json) = (message.name().as_bytes(), message.json().get().as_bytes());
            let (header, header_len) = text_header(length(message));
            for part in [&header[..header_len], OPENING, name, MIDDLE, json, END] {
                bytes.extend_from_slice(part);
            }
        }
        bytes.into()
    }
}

/// A feed socket's place on its connection: open while nothing of the engine's is in the way.
#[derive(Clone)]
pub(super) struct Direct {
    session: Arc<Session>,
    /// Which of the session's feed sockets it is.
    admission: u32,
}

impl Direct {
    pub(super) fn new(session: Arc<Session>, admission: u32) -> Self {
        Self { session, admission }
    }
}

impl Sink for Direct {
    fn is_open(&self) -> bool {
        self.session.conn().is_some() && self.session.flow.is_clear(self.admission)
    }

    /// What was begun is finished whatever happens, or the connection is cut.
    fn offer(&self, batch: &Batch) -> bool {
        self.session
            .conn()
            .is_some_and(|conn| conn.write_direct(self.admission, || batch.encoded::<Frames>()))
    }
}
