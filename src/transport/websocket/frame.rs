//! WebSocket frames in a byte stream (RFC 6455, section 5): where each one begins and ends.
//!
//! Both trackers are pure. They accept bytes in any split, and store at most a header and the first bytes of a payload.

use super::close_code::CloseCode;
use crate::transport::limits::{FRAGMENTS_MAX, MESSAGE_BYTES_MAX};

pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;
const CONTROL: u8 = 0x8;
const CONTROL_PAYLOAD_MAX: u64 = 125;

/// How many bytes of a payload are kept to identify it: the longest is `42/feed,["auth_expiring"`.
const START_BYTES: usize = 24;

/// The longest header of a frame without a mask.
pub(crate) const HEADER_BYTES_MAX: usize = 10;

/// A frame that has passed completely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PassedFrame {
    pub(crate) opcode: u8,
    /// Whether it is the last frame of its message.
    pub(crate) is_final: bool,
    pub(crate) payload_bytes: u64,
    start: [u8; START_BYTES],
    start_len: u8,
}

impl PassedFrame {
    /// The first bytes of the payload; all of them if it is no longer than `START_BYTES`.
    pub(crate) fn start(&self) -> &[u8] {
        &self.start[..usize::from(self.start_len)]
    }
}

/// The header of an unmasked text frame, with the length in its shortest form, and the header's size.
pub(crate) fn text_header(payload: usize) -> ([u8; HEADER_BYTES_MAX], usize) {
    let mut header = [0; HEADER_BYTES_MAX];
    header[0] = FIN | TEXT;
    let length = match payload {
        0..=125 => {
            header[1] = u8::try_from(payload).expect("at most 125");
            2
        }
        126..=0xffff => {
            header[1] = 126;
            let short = u16::try_from(payload).expect("at most 2^16 - 1");
            header[2..4].copy_from_slice(&short.to_be_bytes());
            4
        }
        _ => {
            header[1] = 127;
            header[2..10].copy_from_slice(&(payload as u64).to_be_bytes());
            10
        }
    };
    (header, length)
}

/// Tracks the frames that the server writes: unmasked and well formed, since we or the engine made them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OutboundTracker {
    header: [u8; HEADER_BYTES_MAX],
    header_len: u8,
    payload_bytes: u64,
    payload_left: u64,
    start: [u8; START_BYTES],
    start_len: u8,
}

impl OutboundTracker {
    /// Whether the next byte begins a frame: only there may another frame be inserted.
    pub(crate) fn at_boundary(&self) -> bool {
        self.header_len == 0
    }

    /// Takes bytes up to the end of one frame. Returns how many it took, and the frame if it ended.
    pub(crate) fn step(&mut self, bytes: &[u8]) -> (usize, Option<PassedFrame>) {
        let mut used = 0;
        while !self.header_complete() {
            let Some(byte) = bytes.get(used) else {
                return (used, None);
            };
            self.header[usize::from(self.header_len)] = *byte;
            self.header_len += 1;
            used += 1;
            if self.header_complete() {
                self.payload_bytes = length(&self.header);
                self.payload_left = self.payload_bytes;
            }
        }
        let left = usize::try_from(self.payload_left).unwrap_or(usize::MAX);
        let taken = left.min(bytes.len() - used);
        self.keep_start(&bytes[used..used + taken]);
        self.payload_left -= taken as u64;
        used += taken;
        if self.payload_left > 0 {
            return (used, None);
        }
        let passed = PassedFrame {
            opcode: self.header[0] & OPCODE,
            is_final: self.header[0] & FIN != 0,
            payload_bytes: self.payload_bytes,
            start: self.start,
            start_len: self.start_len,
        };
        *self = Self::default();
        (used, Some(passed))
    }

    /// How many of `bytes` belong to the current frame.
    pub(crate) fn until_boundary(&self, bytes: &[u8]) -> usize {
        let mut ahead = *self;
        ahead.step(bytes).0
    }

    fn header_complete(&self) -> bool {
        self.header_len >= 2 && self.header_len >= header_len(self.header[1])
    }

    fn keep_start(&mut self, payload: &[u8]) {
        let have = usize::from(self.start_len);
        let more = payload.len().min(START_BYTES - have);
        self.start[have..have + more].copy_from_slice(&payload[..more]);
        self.start_len += u8::try_from(more).expect("a start has at most 24 bytes");
    }
}

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

/// The size of a header without its mask, from its second byte.
fn header_len(second: u8) -> u8 {
    match second & LENGTH {
        126 => 4,
        127 => 10,
        _ => 2,
    }
}

/// The payload length in a complete header.
fn length(header: &[u8]) -> u64 {
    match header[1] & LENGTH {
        126 => u64::from(u16::from_be_bytes([header[2], header[3]])),
        127 => {
            let bytes = header[2..10].try_into().expect("eight bytes of ten");
            u64::from_be_bytes(bytes)
        }
        short => u64::from(short),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn server_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![FIN | opcode];
        match payload.len() {
            n @ 0..=125 => frame.push(u8::try_from(n).unwrap()),
            n @ 126..=65535 => {
                frame.push(126);
                frame.extend(u16::try_from(n).unwrap().to_be_bytes());
            }
            n => {
                frame.push(127);
                frame.extend((n as u64).to_be_bytes());
            }
        }
        frame.extend(payload);
        frame
    }

    fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = server_frame(first & OPCODE, payload);
        frame[0] = first;
        frame[1] |= MASKED;
        let header = usize::from(header_len(frame[1]));
        frame.splice(header..header, [0; 4]);
        frame
    }

    proptest! {
        /// The same frames pass in any split, with boundaries between them.
        #[test]
        fn outbound_frames_pass_in_any_split(
            sizes in prop::collection::vec(prop_oneof![0usize..300, 65530usize..65545], 1..6),
            cuts in prop::collection::vec(1usize..900, 1..40),
        ) {
            let frames: Vec<_> = sizes.iter().map(|n| server_frame(TEXT, &vec![b'x'; *n])).collect();
            let bytes = frames.concat();
            let mut tracker = OutboundTracker::default();
            let (mut passed_sizes, mut rest, mut cut) = (Vec::new(), &bytes[..], cuts.iter().cycle());
            while !rest.is_empty() {
                let (mut part, after) = rest.split_at((*cut.next().unwrap()).min(rest.len()));
                while !part.is_empty() {
                    let (used, passed) = tracker.step(part);
                    passed_sizes.extend(passed.map(|frame| usize::try_from(frame.payload_bytes).unwrap()));
                    part = &part[used..];
                }
                rest = after;
            }
            prop_assert_eq!(passed_sizes, sizes);
            prop_assert!(tracker.at_boundary());
        }

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

    /// RFC 6455 section 5.2: the shortest form of each length.
    #[test]
    fn a_header_has_the_shortest_form_of_the_length() {
        for (payload, expected) in [
            (0, &[0x81, 0][..]),
            (125, &[0x81, 125]),
            (126, &[0x81, 126, 0, 126]),
            (0xffff, &[0x81, 126, 0xff, 0xff]),
            (0x1_0000, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let (header, length) = text_header(payload);
            assert_eq!(header[..length], *expected, "{payload}");
        }
    }

    #[test]
    fn the_first_bytes_of_a_payload_are_stored() {
        let (_, passed) =
            OutboundTracker::default().step(&server_frame(TEXT, b"42/feed,[\"update\",{}]"));
        assert_eq!(passed.unwrap().start(), b"42/feed,[\"update\",{}]");
        let (_, passed) = OutboundTracker::default().step(&server_frame(TEXT, &[b'x'; 300]));
        assert_eq!(passed.unwrap().start(), [b'x'; START_BYTES]);
        let (_, passed) = OutboundTracker::default().step(&server_frame(TEXT, b"2"));
        assert_eq!(passed.unwrap().start(), b"2");
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
