//! What the engine writes, as it passes: where a frame ends and what it is, and those that the client does not
//! get as they are.

use bytes::Bytes;

use super::{
    super::{
        engine::with_our_limit,
        flow::Flow,
        frame::{self, Outbound},
        packet::Packet,
        seam::Seam,
    },
    read_half::ReadHalf,
};

/// The engine's ping, as a whole frame.
pub(super) const PING: &[u8] = &[0x81, 1, b'2'];

/// The engine's bytes so far.
#[derive(Debug, Default)]
pub(super) struct EngineOutput {
    outbound: Outbound,
    seam: Seam,
    /// Whether its close packet was among them.
    closes: bool,
}

impl EngineOutput {
    /// Whether they end with a frame.
    pub(super) fn at_boundary(&self) -> bool {
        self.outbound.at_boundary()
    }

    /// Whether they end with a packet and all that belongs to it.
    pub(super) fn is_between_packets(&self) -> bool {
        self.outbound.at_boundary() && self.seam.is_open()
    }

    pub(super) fn closes(&self) -> bool {
        self.closes
    }

    /// How many of the engine's bytes may be written as they are, and what stands after them. The
    /// engine's writer holds whole frames, so a frame that begins in `bytes` also ends there.
    pub(super) fn next_special(
        &self,
        bytes: &[u8],
        is_close_wanted: bool,
        read: &ReadHalf,
    ) -> (usize, Special) {
        let mut at = self.outbound.until_boundary(bytes);
        if self.outbound.at_boundary() {
            at = 0;
        }
        if is_close_wanted {
            return (at, Special::None);
        }
        while let Some(header) = bytes.get(at..at + 2) {
            // A client that closes gets its own code back, as it should.
            if header == [0x80 | frame::CLOSE, 0] && !read.is_closing() {
                return (at, Special::Close);
            }
            if read.expects_first_ping() && bytes[at..].starts_with(PING) {
                return (at, Special::Ping);
            }
            let ahead = Outbound::default().until_boundary(&bytes[at..]);
            at += ahead;
        }
        (bytes.len(), Special::None)
    }

    /// Takes bytes that were written as they are: what the frames are that end in them.
    pub(super) fn pass(&mut self, mut bytes: &[u8], flow: &Flow, sent: &mut Sent) {
        while !bytes.is_empty() {
            let (used, passed) = self.outbound.step(bytes);
            bytes = &bytes[used..];
            let Some(passed) = passed else { continue };
            let payload_bytes = usize::try_from(passed.payload_bytes).unwrap_or(usize::MAX);
            sent.frames += 1;
            let packet = Packet::of(passed.start());
            self.seam.pass(&passed, packet);
            match packet {
                Packet::Feed => {
                    sent.feed_packets += 1;
                    sent.feed_bytes += payload_bytes;
                }
                Packet::FeedPush => flow.pushes_gone(1, payload_bytes),
                Packet::FeedConnect => flow.let_in(),
                Packet::FeedDisconnect => flow.showed_out(),
                Packet::Close => self.closes = true,
                Packet::Binary(_) | Packet::Other => {}
            }
        }
    }
}

/// A frame of the engine's that the client does not get as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Special {
    Ping,
    Close,
    None,
}

/// What writes completed.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) frames: usize,
    pub(super) feed_packets: usize,
    pub(super) feed_bytes: usize,
}

/// The engine's open packet in a frame, which is the first that it writes and all that it writes at
/// once, with our own limit in it.
pub(super) fn open_frame(frame: &[u8]) -> Bytes {
    let open = with_our_limit(frame.get(2..).unwrap_or_default());
    let length = u8::try_from(open.len())
        .ok()
        .filter(|length| *length <= 125);
    match length {
        Some(length) => [&[0x81, length], open.as_ref()].concat().into(),
        None => Bytes::copy_from_slice(frame),
    }
}
