//! Messages of the feed as finished WebSocket frames.

use bytes::Bytes;

use super::frame::{HEADER_BYTES_MAX, text_header};
use crate::feed::{Encoding, Message};

/// One text frame per message. A server's frames have no mask, so all clients get the same bytes.
pub(super) struct TextFrames;

impl Encoding for TextFrames {
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
