//! The frames that a client writes, tracked and checked.

use std::ops::Range;

use super::{
    close_code::CloseCode,
    frame::{BINARY, CLOSE, FIN, LENGTH, OPCODE, TEXT, header_len, length},
};
use crate::transport::limits::{FRAGMENTS_MAX, MESSAGE_BYTES_MAX};

const RESERVED: u8 = 0x70;
const CONTROL: u8 = 0x8;
const MASKED: u8 = 0x80;
const CONTROL_PAYLOAD_MAX: u64 = 125;

/// What was found in bytes of the client, up to the end of one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InboundStep {
    /// How many bytes that are.
    pub(crate) used: usize,
    /// Which of them are payload.
    pub(crate) payload: Range<usize>,
    /// The mask of this payload, repeated from its first byte on.
    pub(crate) mask: [u8; 4],
    /// The opcode of the frame that the payload is in.
    pub(crate) opcode: u8,
    /// The frame, if it ended.
    pub(crate) ended: Option<InboundFrame>,
}

/// A whole frame of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InboundFrame {
    pub(crate) opcode: u8,
    /// Whether it is the last frame of its message.
    pub(crate) is_final: bool,
    is_empty: bool,
}

impl InboundFrame {
    pub(crate) fn is_control(&self) -> bool {
        self.opcode & CONTROL != 0
    }

    /// Whether it is one of the frames that [`SMALL_FRAMES_MAX`](crate::transport::limits::SMALL_FRAMES_MAX) bounds. A
    /// close frame is not, since it is the last one.
    pub(crate) fn is_small(&self) -> bool {
        self.opcode != CLOSE && (self.is_control() || self.is_empty)
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

    /// Takes bytes from the client up to the end of one frame.
    ///
    /// # Errors
    /// The code with which the connection must close.
    pub(crate) fn step(&mut self, bytes: &[u8]) -> Result<InboundStep, CloseCode> {
        if self.closing && self.at_boundary() {
            // Bytes after a close frame are ignored (RFC 6455, section 1.4).
            return Ok(self.step_to(bytes.len(), bytes.len()..bytes.len(), None));
        }
        let mut used = 0;
        while !self.header_complete() {
            let Some(byte) = bytes.get(used) else {
                return Ok(self.step_to(used, used..used, None));
            };
            self.header[usize::from(self.header_len)] = *byte;
            self.header_len += 1;
            used += 1;
            self.check_early()?;
            if self.header_complete() {
                self.begin_payload()?;
            }
        }
        let left = usize::try_from(self.payload_left).unwrap_or(usize::MAX);
        let payload = used..used + left.min(bytes.len() - used);
        let ended = (left == payload.len()).then(|| InboundFrame {
            opcode: self.opcode(),
            is_final: self.header[0] & FIN != 0,
            is_empty: length(&self.header) == 0,
        });
        Ok(self.step_to(payload.end, payload, ended))
    }

    fn step_to(
        &mut self,
        used: usize,
        payload: Range<usize>,
        ended: Option<InboundFrame>,
    ) -> InboundStep {
        let mask = self.mask();
        self.payload_left -= payload.len() as u64;
        if ended.is_some() {
            self.header_len = 0;
        }
        InboundStep {
            used,
            payload,
            mask,
            opcode: self.opcode(),
            ended,
        }
    }

    fn opcode(&self) -> u8 {
        self.header[0] & OPCODE
    }

    /// The mask of the payload that comes next, from its first byte on.
    fn mask(&self) -> [u8; 4] {
        let at = usize::from(header_len(self.header[1]));
        let passed = length(&self.header).saturating_sub(self.payload_left) % 4;
        let passed = usize::try_from(passed).expect("less than four");
        std::array::from_fn(|n| self.header[at + (passed + n) % 4])
    }

    fn header_complete(&self) -> bool {
        self.header_len >= 2 && self.header_len >= header_len(self.header[1]) + 4
    }

    /// Checks the first two bytes of a header.
    fn check_early(&self) -> Result<(), CloseCode> {
        let opcode = self.opcode();
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
        let opcode = self.opcode();
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

    /// Takes all bytes; returns the frames that ended in them.
    fn take(
        tracker: &mut InboundTracker,
        mut bytes: &[u8],
    ) -> Result<Vec<InboundFrame>, CloseCode> {
        let mut frames = Vec::new();
        while !bytes.is_empty() {
            let step = tracker.step(bytes)?;
            frames.extend(step.ended);
            bytes = &bytes[step.used..];
        }
        Ok(frames)
    }

    proptest! {
        /// The verdict is the same in any split.
        #[test]
        fn inbound_verdict_does_not_depend_on_the_split(
            first in any::<u8>(), size in 0usize..400, step in 1usize..50,
        ) {
            let frame = client_frame(first, &vec![0; size]);
            let whole = take(&mut InboundTracker::default(), &frame);
            let mut tracker = InboundTracker::default();
            let pieces = frame.chunks(step).map(|piece| take(&mut tracker, piece));
            let pieces: Result<Vec<_>, _> = pieces.collect();
            prop_assert_eq!(whole, pieces.map(|pieces| pieces.concat()));
        }

        /// The payload is found with its mask in any split.
        #[test]
        fn a_payload_is_unmasked_in_any_split(
            payload in prop::collection::vec(any::<u8>(), 0..400), mask in any::<[u8; 4]>(),
            step in 1usize..50,
        ) {
            let mut frame = client_frame(FIN | TEXT, &payload);
            let at = frame.len() - payload.len();
            frame[at - 4..at].copy_from_slice(&mask);
            let masked = frame[at..].iter_mut().zip(mask.iter().cycle());
            masked.for_each(|(byte, mask)| *byte ^= mask);
            let (mut tracker, mut found) = (InboundTracker::default(), Vec::new());
            for mut piece in frame.chunks(step) {
                while !piece.is_empty() {
                    let step = tracker.step(piece).unwrap();
                    let masked = piece[step.payload].iter().zip(step.mask.iter().cycle());
                    found.extend(masked.map(|(byte, mask)| byte ^ mask));
                    piece = &piece[step.used..];
                }
            }
            prop_assert_eq!(found, payload);
        }
    }

    #[test]
    fn broken_client_frames_are_refused_by_their_header() {
        let refuse = |bytes: &[u8]| take(&mut InboundTracker::default(), bytes).map(|_| ());
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
        take(&mut tracker, &client_frame(0x01, b"")).unwrap();
        let empty = client_frame(0x00, b"");
        let refused = (1..=FRAGMENTS_MAX).find_map(|_| take(&mut tracker, &empty).err());
        assert_eq!(refused, Some(CloseCode::Policy));

        let mut tracker = InboundTracker::default();
        take(
            &mut tracker,
            &client_frame(0x01, &vec![0; MESSAGE_BYTES_MAX]),
        )
        .unwrap();
        assert_eq!(
            take(&mut tracker, &client_frame(0x80, b"x")),
            Err(CloseCode::TooLarge)
        );
    }
}
