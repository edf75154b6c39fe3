//! Packets from the client on their way to the engine.

use super::packet::FEED;

/// What bounds a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ClientPacket {
    /// A heartbeat, CONNECT or DISCONNECT: a client sends few.
    Small,
    /// An event to the feed: it waits in the queue of its socket.
    Request,
    /// Nobody answers it, as far as the feed knows.
    #[default]
    Unanswered,
}

/// Reads one packet byte by byte.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ClientPacketReader {
    part: Part,
    packet: ClientPacket,
}

/// Where the next byte is in a packet: `4`, `2`, a namespace. A binary event begins with `45` and the number of its
/// attachments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Type,
    Kind,
    Attachments,
    /// So much of the feed's namespace was found.
    Namespace(u8),
    /// Nothing of interest follows.
    Rest,
}

impl ClientPacketReader {
    /// Reads a whole packet.
    pub(crate) fn read(packet: &[u8]) -> ClientPacket {
        let mut reader = Self::default();
        for byte in packet {
            if reader.is_done() {
                break;
            }
            reader.pass(*byte);
        }
        reader.packet()
    }

    /// Reads the next byte.
    pub(crate) fn pass(&mut self, byte: u8) {
        self.part = self.next(byte);
    }

    /// Whether nothing of interest follows.
    pub(crate) fn is_done(&self) -> bool {
        self.part == Part::Rest
    }

    /// What the packet is, once it has ended.
    pub(crate) fn packet(&self) -> ClientPacket {
        self.packet
    }

    fn next(&mut self, byte: u8) -> Part {
        match (self.part, byte) {
            (Part::Type, b'2' | b'3') | (Part::Kind, b'0' | b'1') => {
                self.packet = ClientPacket::Small;
                Part::Rest
            }
            (Part::Type, b'4') => Part::Kind,
            (Part::Kind, b'2') => Part::Namespace(0),
            (Part::Kind, b'5') => Part::Attachments,
            (Part::Attachments, b'0'..=b'9') => Part::Attachments,
            (Part::Attachments, b'-') => Part::Namespace(0),
            (Part::Namespace(found), _) => self.namespace(found, byte),
            _ => Part::Rest,
        }
    }

    fn namespace(&mut self, found: u8, byte: u8) -> Part {
        let found = usize::from(found);
        if byte != FEED[found] {
            return Part::Rest;
        }
        if found + 1 == FEED.len() {
            self.packet = ClientPacket::Request;
            return Part::Rest;
        }
        Part::Namespace(u8::try_from(found + 1).expect("the feed's namespace is short"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_bounded_by_what_they_are() {
        use ClientPacket::{Request, Small, Unanswered};
        for (packet, expected) in [
            ("2", Small),
            ("3", Small),
            ("2 and more", Small),
            ("40", Small),
            ("40/feed,{}", Small),
            ("41/feed,", Small),
            ("42/feed,[\"subscribe\"]", Request),
            ("42/feed,17[\"subscribe\",{}]", Request),
            ("451-/feed,1[\"x\",{}]", Request),
            ("42[\"x\"]", Unanswered),
            ("421[\"x\"]", Unanswered),
            ("42/feeds,[\"x\"]", Unanswered),
            ("42/fee,[\"x\"]", Unanswered),
            ("42/feed", Unanswered),
            ("43/feed,1[]", Unanswered),
            ("45/feed,x", Unanswered),
            ("6", Unanswered),
            ("bAQID", Unanswered),
            ("", Unanswered),
            ("é", Unanswered),
        ] {
            let read = ClientPacketReader::read(packet.as_bytes());
            assert_eq!(read, expected, "{packet}");
        }
    }
}
