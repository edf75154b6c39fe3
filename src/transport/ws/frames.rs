//! Messages of the feed as finished frames.

use bytes::Bytes;

use crate::{
    feed::{Encoding, Message},
    transport::frame::{HEADER_BYTES_MAX, text_header},
};

/// A text frame for each message. A server's frames have no mask: they are the same bytes for all who get them.
pub(super) struct Frames;

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
