use super::{
    frame::{BINARY, CONTINUATION, Passed, TEXT},
    packet::Packet,
};

/// Whether another message may stand after the last frame: not within a fragmented one, and not between a
/// binary packet and its attachments, which clients take one after the other.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seam {
    attachments: u32,
    is_inside: bool,
}

impl Seam {
    pub(super) fn is_open(&self) -> bool {
        self.attachments == 0 && !self.is_inside
    }

    /// A frame of the engine's has passed.
    pub(super) fn pass(&mut self, frame: &Passed, packet: Packet) {
        match (frame.opcode, packet) {
            (TEXT, Packet::Binary(attachments)) => self.attachments = attachments,
            (BINARY, _) => self.attachments = self.attachments.saturating_sub(1),
            (TEXT | CONTINUATION, _) => {}
            // Control frames stand anywhere.
            _ => return,
        }
        self.is_inside = !frame.is_final;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::frame::Outbound;

    fn pass(seam: &mut Seam, first: u8, payload: &[u8]) -> bool {
        let length = u8::try_from(payload.len()).unwrap();
        let frame = [&[first, length], payload].concat();
        let (_, passed) = Outbound::default().step(&frame);
        let passed = passed.unwrap();
        seam.pass(&passed, Packet::of(passed.start()));
        seam.is_open()
    }

    #[test]
    fn attachments_stay_with_their_packet() {
        let mut seam = Seam::default();
        assert!(pass(&mut seam, 0x81, b"2"));
        assert!(!pass(&mut seam, 0x81, b"452-/host,[]"));
        assert!(!pass(&mut seam, 0x82, b"one"));
        assert!(
            !pass(&mut seam, 0x89, b""),
            "a control frame is no attachment"
        );
        assert!(pass(&mut seam, 0x82, b"two"));
        assert!(pass(&mut seam, 0x82, b"a binary message of its own"));
    }

    #[test]
    fn a_fragmented_message_is_one() {
        let mut seam = Seam::default();
        assert!(!pass(&mut seam, 0x01, b"4"));
        assert!(!pass(&mut seam, 0x00, b"2"));
        assert!(!pass(&mut seam, 0x89, b""));
        assert!(pass(&mut seam, 0x80, b"[]"));
    }
}
