//! The engine's bytes on their way to the client: where each frame ends, what it is, and which frames are replaced.

use std::time::Duration;

use bytes::Bytes;

use super::{boundary::PacketBoundary, flow_control::FlowControl, read::ReadHalf};
use crate::transport::{
    socketio::engine::{Packet, with_our_limits},
    websocket::{CLOSE, OutboundTracker, PONG},
};

/// The engine's ping, as a whole frame.
pub(crate) const PING: &[u8] = &[0x81, 1, b'2'];

/// Tracks the engine's bytes.
#[derive(Debug, Default)]
pub(crate) struct EngineOutput {
    outbound: OutboundTracker,
    boundary: PacketBoundary,
    /// Whether they contained the engine's close packet.
    closes: bool,
}

impl EngineOutput {
    /// Whether they end at the end of a frame.
    pub(crate) fn at_boundary(&self) -> bool {
        self.outbound.at_boundary()
    }

    /// Whether they end at the end of a packet and its attachments.
    pub(crate) fn is_between_packets(&self) -> bool {
        self.outbound.at_boundary() && self.boundary.is_open()
    }

    pub(crate) fn closes(&self) -> bool {
        self.closes
    }

    /// How many of the engine's bytes may be written unchanged, and what follows them. The engine's writer holds whole
    /// frames, so a frame that begins in `bytes` also ends there.
    pub(crate) fn next_intercepted(
        &self,
        bytes: &[u8],
        is_close_wanted: bool,
        read: &ReadHalf,
    ) -> (usize, Intercepted) {
        let mut at = self.outbound.until_boundary(bytes);
        if self.outbound.at_boundary() {
            at = 0;
        }
        if is_close_wanted {
            return (at, Intercepted::None);
        }
        while let Some(header) = bytes.get(at..at + 2) {
            // A client that closes gets its own code back.
            if header == [0x80 | CLOSE, 0] && !read.is_closing() {
                return (at, Intercepted::Close);
            }
            if read.expects_first_ping() && bytes[at..].starts_with(PING) {
                return (at, Intercepted::Ping);
            }
            let ahead = OutboundTracker::default().until_boundary(&bytes[at..]);
            at += ahead;
        }
        (bytes.len(), Intercepted::None)
    }

    /// Tracks bytes that were written unchanged, and counts the frames that end in them.
    pub(crate) fn pass(&mut self, mut bytes: &[u8], flow: &FlowControl, sent: &mut SentPackets) {
        while !bytes.is_empty() {
            let (used, passed) = self.outbound.step(bytes);
            bytes = &bytes[used..];
            let Some(passed) = passed else { continue };
            let payload_bytes = usize::try_from(passed.payload_bytes).unwrap_or(usize::MAX);
            sent.frames += 1;
            if passed.opcode == PONG {
                sent.pongs += 1;
                continue;
            }
            let packet = Packet::of(passed.start());
            self.boundary.pass(&passed, packet);
            match packet {
                Packet::Feed => {
                    sent.feed_packets += 1;
                    sent.feed_bytes += payload_bytes;
                }
                Packet::FeedPush => flow.pushes_gone(1, payload_bytes),
                Packet::FeedConnect => flow.record_connect(),
                Packet::FeedDisconnect => flow.record_disconnect(),
                Packet::Close => self.closes = true,
                Packet::Ping => sent.pings += 1,
                Packet::Binary(_) | Packet::Other => {}
            }
        }
    }
}

/// A frame of the engine that is not passed on unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intercepted {
    Ping,
    Close,
    None,
}

/// What writes have completed.
#[derive(Debug, Default)]
pub(crate) struct SentPackets {
    pub(crate) frames: usize,
    /// Answers to the client's pings.
    pub(crate) pongs: usize,
    /// The engine's pings.
    pub(crate) pings: usize,
    pub(crate) feed_packets: usize,
    pub(crate) feed_bytes: usize,
}

/// The frame of the engine's open packet, with our limits in it. It is the engine's first write, and that
/// write contains nothing else.
pub(crate) fn open_frame(frame: &[u8], ping_timeout: Duration) -> Bytes {
    let open = with_our_limits(frame.get(2..).unwrap_or_default(), ping_timeout);
    let length = u8::try_from(open.len())
        .ok()
        .filter(|length| *length <= 125);
    match length {
        Some(length) => [&[0x81, length], open.as_ref()].concat().into(),
        None => Bytes::copy_from_slice(frame),
    }
}
