//! WebSocket frames in a byte stream (RFC 6455, section 5), and where those of the server begin and end.

pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xa;

pub(super) const FIN: u8 = 0x80;
pub(super) const OPCODE: u8 = 0x0f;
pub(super) const LENGTH: u8 = 0x7f;

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

/// Tracks the frames that the server writes: unmasked and well formed, since we or the engine made them. It accepts
/// bytes in any split, and stores at most a header and the first bytes of a payload.
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

/// The size of a header without its mask, from its second byte.
pub(super) fn header_len(second: u8) -> u8 {
    match second & LENGTH {
        126 => 4,
        127 => 10,
        _ => 2,
    }
}

/// The payload length in a complete header.
pub(super) fn length(header: &[u8]) -> u64 {
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
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn server_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
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
}
