//! The way past the engine: messages of the feed as finished frames, written to the connection by whoever has
//! them, with no channel, copy or other task in between.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    flow::Flow,
    frame::{HEADER_BYTES_MAX, text_header},
    session::Session,
};
use crate::feed::{Batch, Encoding, Message, Sink};

/// What stands before an event's name and after it, and behind its payload.
const OPENING: &[u8] = b"42/feed,[\"";
const MIDDLE: &[u8] = b"\",";
const END: &[u8] = b"]";

/// What an event has besides its name and payload, at most.
const FRAME_BYTES_MAX: usize = HEADER_BYTES_MAX + OPENING.len() + MIDDLE.len() + END.len();

/// WebSocket frames with Socket.IO events of the feed. A server's frames have no mask: they are the same bytes
/// for all who get them.
struct Frames;

impl Encoding for Frames {
    fn encode(messages: &[Message]) -> Bytes {
        let events = || {
            messages
                .iter()
                .map(|message| (message.name(), message.json().get()))
        };
        let lengths = events().map(|(name, json)| FRAME_BYTES_MAX + name.len() + json.len());
        let mut frames = Vec::with_capacity(lengths.sum());
        for (name, json) in events() {
            put_frame(&mut frames, name, json);
        }
        frames.into()
    }
}

/// Any event to the feed's namespace as a WebSocket frame.
pub(super) fn event_frame(name: &str, json: &str) -> Bytes {
    let quoted = serde_json::to_string(name).expect("a string is JSON");
    let mut frame = Vec::with_capacity(FRAME_BYTES_MAX + quoted.len() + json.len());
    put_frame(&mut frame, &quoted[1..quoted.len() - 1], json);
    frame.into()
}

/// `name`: as it stands between quotes.
fn put_frame(bytes: &mut Vec<u8>, name: &str, json: &str) {
    let packet = OPENING.len() + name.len() + MIDDLE.len() + json.len() + END.len();
    let (header, header_len) = text_header(packet);
    let (name, json) = (name.as_bytes(), json.as_bytes());
    for part in [&header[..header_len], OPENING, name, MIDDLE, json, END] {
        bytes.extend_from_slice(part);
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
        let is_clear = |flow: &Flow| flow.is_clear(self.admission);
        let conn = self.session.conn();
        conn.is_some_and(|conn| conn.write_direct(is_clear, || batch.encoded::<Frames>()))
    }
}
