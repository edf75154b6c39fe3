//! The frames that a client writes, tracked and checked.

use super::{
    close_code::CloseCode,
    frame::{BINARY, CLOSE, FIN, LENGTH, OPCODE, TEXT, header_len, length},
};
use crate::transport::limits::{FRAGMENTS_MAX, MESSAGE_BYTES_MAX};

const RESERVED: u8 = 0x70;
const CONTROL: u8 = 0x8;
const MASKED: u8 = 0x80;
const CONTROL_PAYLOAD_MAX: u64 = 125;

/// Tracks and checks the frames that a client writes. A frame that breaks the protocol or a bound is refused by
/// its header.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct InboundTracker {
    header: [u8; 14],
    header_len: u8,
    payload_left: u64,
    message_bytes: u64,
    fragments: u32,
    closing: bool,
}

impl InboundTracker {
    /// Whether the next byte begins a frame.
    pub(crate) fn at_boundary(&self) -> bool {
        self.header_len == 0
    }

    /// Whether the client has begun a close frame.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing
    }

    /// Takes bytes from the client.
    ///
    /// # Errors
    /// The code with which the connection must close.
    pub(crate) fn take(&mut self, mut bytes: &[u8]) -> Result<(), CloseCode> {
        while let Some((first, rest)) = bytes.split_first() {
            if self.closing && self.at_boundary() {
                // Bytes after a close frame are ignored (RFC 6455, section 1.4).
                return Ok(());
            }
            if self.header_complete() {
                let left = usize::try_from(self.payload_left).unwrap_or(usize::MAX);
                let taken = left.min(bytes.len());
                self.payload_left -= taken as u64;
                bytes = &bytes[taken..];
            } else {
                self.header[usize::from(self.header_len)] = *first;
                self.header_len += 1;
                bytes = rest;
                self.check_early()?;
                if self.header_complete() {
                    self.begin_payload()?;
                }
            }
            if self.header_complete() && self.payload_left == 0 {
                self.header_len = 0;
            }
        }
        Ok(())
    }

    fn header_complete(&self) -> bool {
        self.header_len >= 2 && self.header_len >= header_len(self.header[1]) + 4
    }

    /// Checks the first two bytes of a header.
    fn check_early(&self) -> Result<(), CloseCode> {
        let opcode = self.header[0] & OPCODE;
        let known = matches!(opcode, 0x0..=0x2 | 0x8..=0xa);
        if self.header_len == 1 && (self.header[0] & RESERVED != 0 || !known) {
            return Err(CloseCode::Protocol);
        }
        if self.header_len == 2 {
            let fragmented = self.header[0] & FIN == 0;
            let long = u64::from(self.header[1] & LENGTH) > CONTROL_PAYLOAD_MAX;
            let control = opcode & CONTROL != 0;
            if self.header[1] & MASKED == 0 || (control && (fragmented || long)) {
                return Err(CloseCode::Protocol);
            }
        }
        Ok(())
    }

    fn begin_payload(&mut self) -> Result<(), CloseCode> {
        self.payload_left = length(&self.header);
        let opcode = self.header[0] & OPCODE;
        if opcode == CLOSE {
            self.closing = true;
        }
        if opcode & CONTROL != 0 {
            return Ok(());
        }
        let inside = self.fragments > 0;
        if inside == (opcode == TEXT || opcode == BINARY) {
            return Err(CloseCode::Protocol);
        }
        self.fragments += 1;
        self.message_bytes = self.message_bytes.saturating_add(self.payload_left);
        if self.message_bytes > MESSAGE_BYTES_MAX as u64 {
            return Err(CloseCode::TooLarge);
        }
        if self.fragments > FRAGMENTS_MAX {
            return Err(CloseCode::Policy);
        }
        if self.header[0] & FIN != 0 {
            self.fragments = 0;
            self.message_bytes = 0;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::websocket::frame::tests::server_frame;
    use proptest::prelude::*;

    fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = server_frame(first & OPCODE, payload);
        frame[0] = first;
        frame[1] |= MASKED;
        let header = usize::from(header_len(frame[1]));
        frame.splice(header..header, [0; 4]);
        frame
    }

    proptest! {
        /// The verdict is the same in any split.
        #[test]
        fn inbound_verdict_does_not_depend_on_the_split(
            first in any::<u8>(), size in 0usize..400, step in 1usize..50,
        ) {
            let frame = client_frame(first, &vec![0; size]);
            let whole = InboundTracker::default().take(&frame);
            let mut tracker = InboundTracker::default();
            let pieces = frame.chunks(step).try_for_each(|piece| tracker.take(piece));
            prop_assert_eq!(whole, pieces);
        }
    }

    #[test]
    fn broken_client_frames_are_refused_by_their_header() {
        let refuse = |bytes: &[u8]| InboundTracker::default().take(bytes);
        assert_eq!(
            refuse(&server_frame(TEXT, b"x")),
            Err(CloseCode::Protocol),
            "unmasked"
        );
        assert_eq!(
            refuse(&client_frame(0xc1, b"x")),
            Err(CloseCode::Protocol),
            "reserved bit"
        );
        assert_eq!(
            refuse(&client_frame(0x83, b"x")),
            Err(CloseCode::Protocol),
            "opcode 3"
        );
        assert_eq!(
            refuse(&client_frame(0x80, b"x")),
            Err(CloseCode::Protocol),
            "no beginning"
        );
        assert_eq!(
            refuse(&client_frame(0x09, b"")),
            Err(CloseCode::Protocol),
            "half a ping"
        );
        assert_eq!(
            refuse(&client_frame(0x89, &[0; 126])),
            Err(CloseCode::Protocol),
            "long ping"
        );
        let huge = [
            0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0,
        ];
        assert_eq!(refuse(&huge), Err(CloseCode::TooLarge));
        assert_eq!(refuse(&client_frame(0x81, &[0; 1000])), Ok(()));
    }

    #[test]
    fn fragments_are_bounded_in_number_and_in_sum() {
        let mut tracker = InboundTracker::default();
        tracker.take(&client_frame(0x01, b"")).unwrap();
        let empty = client_frame(0x00, b"");
        let refused = (1..=FRAGMENTS_MAX).find_map(|_| tracker.take(&empty).err());
        assert_eq!(refused, Some(CloseCode::Policy));

        let mut tracker = InboundTracker::default();
        tracker
            .take(&client_frame(0x01, &vec![0; MESSAGE_BYTES_MAX]))
            .unwrap();
        assert_eq!(
            tracker.take(&client_frame(0x80, b"x")),
            Err(CloseCode::TooLarge)
        );
    }
}
