//! The way past a socket's task: messages of the feed as finished frames, written by whoever has them.

use std::sync::Arc;

use bytes::Bytes;

use super::conn::Conn;
use crate::{
    feed::{Batch, Encoding, Message, Sink},
    transport::frame::{HEADER_BYTES_MAX, text_header},
};

/// A text frame for each message. A server's frames have no mask: they are the same bytes for all who get them.
struct Frames;

impl Encoding for Frames {
    fn encode(messages: &[Message]) -> Bytes {
        let lengths = messages.iter().map(|message| message.json().get().len());
        let mut bytes = Vec::with_capacity(lengths.map(|json| HEADER_BYTES_MAX + json).sum());
        for message in messages {
            let json = message.json().get().as_bytes();
            let (header, header_len) = text_header(json.len());
            bytes.extend_from_slice(&header[..header_len]);
            bytes.extend_from_slice(json);
        }
        bytes.into()
    }
}

/// A socket's place for its rider.
pub(super) struct Direct(pub(super) Arc<Conn>);

impl Sink for Direct {
    fn is_open(&self) -> bool {
        self.0.is_open()
    }

    fn offer(&self, batch: &Batch) -> bool {
        self.0.write_direct(|| batch.encoded::<Frames>())
    }
}
