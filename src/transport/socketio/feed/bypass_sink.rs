//! Direct delivery past the engine: messages of the feed as finished frames, written to the connection without the
//! engine's channel, copies and task.

use std::sync::Arc;

use bytes::Bytes;

use super::state::FeedSession;
use crate::{
    feed::{Batch, Encoding, Message, Sink},
    transport::{
        socketio::connection::FlowControl,
        websocket::{HEADER_BYTES_MAX, text_header},
    },
};

/// The text before an event's name, after it, and after its payload.
const OPENING: &[u8] = b"42/feed,[\"";
const MIDDLE: &[u8] = b"\",";
const END: &[u8] = b"]";

/// The most bytes of an event besides its name and payload.
const FRAME_BYTES_MAX: usize = HEADER_BYTES_MAX + OPENING.len() + MIDDLE.len() + END.len();

/// WebSocket frames with Socket.IO events of the feed. A server's frames have no mask, so all clients get the same
/// bytes.
struct EventFrames;

impl Encoding for EventFrames {
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

/// An event to the feed's namespace as a WebSocket frame.
pub(super) fn event_frame(name: &str, json: &str) -> Bytes {
    let quoted = serde_json::to_string(name).expect("a string is JSON");
    let mut frame = Vec::with_capacity(FRAME_BYTES_MAX + quoted.len() + json.len());
    put_frame(&mut frame, &quoted[1..quoted.len() - 1], json);
    frame.into()
}

/// `name` is escaped JSON, without its quotes.
fn put_frame(bytes: &mut Vec<u8>, name: &str, json: &str) {
    let packet = OPENING.len() + name.len() + MIDDLE.len() + json.len() + END.len();
    let (header, header_len) = text_header(packet);
    let (name, json) = (name.as_bytes(), json.as_bytes());
    for part in [&header[..header_len], OPENING, name, MIDDLE, json, END] {
        bytes.extend_from_slice(part);
    }
}

/// A feed socket's sink for direct delivery: open while nothing of the engine is in the way.
#[derive(Clone)]
pub(super) struct EngineBypassSink {
    session: Arc<FeedSession>,
    /// The socket's number among the session's feed sockets.
    admission: u32,
}

impl EngineBypassSink {
    pub(super) fn new(session: Arc<FeedSession>, admission: u32) -> Self {
        Self { session, admission }
    }
}

impl Sink for EngineBypassSink {
    fn is_open(&self) -> bool {
        self.session.connection().is_some() && self.session.flow.is_clear(self.admission)
    }

    /// Once a write has begun, it is finished, or the connection is cut.
    fn offer(&self, batch: &Batch) -> bool {
        let is_clear = |flow: &FlowControl| flow.is_clear(self.admission);
        let connection = self.session.connection();
        connection.is_some_and(|connection| {
            connection.write_direct(is_clear, || batch.encoded::<EventFrames>())
        })
    }
}
