use crate::transport::{
    socketio::engine::Packet,
    websocket::{BINARY, CONTINUATION, PassedFrame, TEXT},
};

/// Whether another message may be inserted after the last frame: not inside a fragmented message, and not between a
/// binary packet and its attachments, which clients expect in direct sequence.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PacketBoundary {
    attachments: u32,
    is_inside: bool,
}

impl PacketBoundary {
    pub(crate) fn is_open(&self) -> bool {
        self.attachments == 0 && !self.is_inside
    }

    /// Records a frame of the engine that has passed.
    pub(crate) fn pass(&mut self, frame: &PassedFrame, packet: Packet) {
        match (frame.opcode, packet) {
            (TEXT, Packet::Binary(attachments)) => self.attachments = attachments,
            (BINARY, _) => self.attachments = self.attachments.saturating_sub(1),
            (TEXT | CONTINUATION, _) => {}
            // Control frames may stand anywhere.
            _ => return,
        }
        self.is_inside = !frame.is_final;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::websocket::OutboundTracker;

    fn pass(boundary: &mut PacketBoundary, first: u8, payload: &[u8]) -> bool {
        let length = u8::try_from(payload.len()).unwrap();
        let frame = [&[first, length], payload].concat();
        let (_, passed) = OutboundTracker::default().step(&frame);
        let passed = passed.unwrap();
        boundary.pass(&passed, Packet::of(passed.start()));
        boundary.is_open()
    }

    #[test]
    fn attachments_stay_with_their_packet() {
        let mut boundary = PacketBoundary::default();
        assert!(pass(&mut boundary, 0x81, b"2"));
        assert!(!pass(&mut boundary, 0x81, b"452-/host,[]"));
        assert!(!pass(&mut boundary, 0x82, b"one"));
        assert!(
            !pass(&mut boundary, 0x89, b""),
            "a control frame is no attachment"
        );
        assert!(pass(&mut boundary, 0x82, b"two"));
        assert!(pass(&mut boundary, 0x82, b"a binary message of its own"));
    }

    #[test]
    fn nothing_is_inserted_into_a_fragmented_message() {
        let mut boundary = PacketBoundary::default();
        assert!(!pass(&mut boundary, 0x01, b"4"));
        assert!(!pass(&mut boundary, 0x00, b"2"));
        assert!(!pass(&mut boundary, 0x89, b""));
        assert!(pass(&mut boundary, 0x80, b"[]"));
    }
}
