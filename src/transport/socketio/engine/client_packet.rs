//! Packets from the client on their way to the engine.
//!
//! The engine looks for an event's name in the JSON as it stands there, and ends the session if it contains an escape.
//! So the backslashes of a name are replaced on the way, which changes no length, and [`restored_name`] puts them back.

use std::borrow::Cow;

use super::packet::FEED;

/// Stands for a backslash: the control character DEL, which JSON allows in a string. It occurs in no known name.
const BACKSLASH: u8 = 0x7f;

/// Stands for the quotation mark after a backslash. JSON has no escape `\'`.
const QUOTATION_MARK: u8 = b'\'';

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

/// Where the next byte is in a packet: `4`, `2`, a namespace, the number of an ack, `["`, a name. A binary event
/// begins with `45` and the number of its attachments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Type,
    Kind,
    Attachments,
    /// So much of the feed's namespace was found.
    Namespace(u8),
    OtherNamespace,
    Ack,
    Arguments,
    Name,
    Escape,
    /// Nothing of interest follows.
    Rest,
}

impl ClientPacketReader {
    /// Reads a whole packet, and replaces what the engine does not understand.
    pub(crate) fn read(packet: &mut [u8]) -> ClientPacket {
        let mut reader = Self::default();
        for byte in packet {
            if reader.is_done() {
                break;
            }
            *byte = reader.pass(*byte);
        }
        reader.packet()
    }

    /// Reads the next byte, and returns the one that the engine gets.
    pub(crate) fn pass(&mut self, byte: u8) -> u8 {
        let (part, passed) = self.next(byte);
        self.part = part;
        passed
    }

    /// Whether all that follows passes unchanged.
    pub(crate) fn is_done(&self) -> bool {
        self.part == Part::Rest
    }

    /// What the packet is, once it has ended.
    pub(crate) fn packet(&self) -> ClientPacket {
        self.packet
    }

    fn next(&mut self, byte: u8) -> (Part, u8) {
        let part = match (self.part, byte) {
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
            (Part::OtherNamespace, b',') => Part::Ack,
            (Part::OtherNamespace, _) => Part::OtherNamespace,
            (Part::Ack, _) => ack(byte),
            (Part::Arguments, b' ' | b'\t' | b'\n' | b'\r') => Part::Arguments,
            (Part::Arguments, b'"') => Part::Name,
            (Part::Name, b'\\') => return (Part::Escape, BACKSLASH),
            (Part::Escape, b'"') => return (Part::Name, QUOTATION_MARK),
            (Part::Escape, b'\\') => return (Part::Name, BACKSLASH),
            (Part::Name, b'"') => Part::Rest,
            (Part::Name | Part::Escape, _) => Part::Name,
            _ => Part::Rest,
        };
        (part, byte)
    }

    fn namespace(&mut self, found: u8, byte: u8) -> Part {
        let found = usize::from(found);
        match byte {
            _ if byte == FEED[found] && found + 1 == FEED.len() => {
                self.packet = ClientPacket::Request;
                Part::Ack
            }
            _ if byte == FEED[found] => {
                Part::Namespace(u8::try_from(found + 1).expect("the feed's namespace is short"))
            }
            // The namespace `/` is not written.
            _ if found == 0 => ack(byte),
            b',' => Part::Ack,
            _ => Part::OtherNamespace,
        }
    }
}

fn ack(byte: u8) -> Part {
    match byte {
        b'0'..=b'9' | b' ' | b'\t' | b'\n' | b'\r' => Part::Ack,
        b'[' => Part::Arguments,
        _ => Part::Rest,
    }
}

/// The JSON text of an event's name, as the client sent it. A name that contained DEL itself is another name afterwards,
/// or none.
pub(crate) fn restored_name(json: &str) -> Cow<'_, str> {
    if !json.as_bytes().contains(&BACKSLASH) {
        return json.into();
    }
    let mut restored = String::with_capacity(json.len());
    let mut characters = json.chars();
    while let Some(character) = characters.next() {
        if character != char::from(BACKSLASH) {
            restored.push(character);
            continue;
        }
        restored.push('\\');
        match characters.next() {
            Some(escaped) if escaped == char::from(QUOTATION_MARK) => restored.push('"'),
            Some(escaped) if escaped == char::from(BACKSLASH) => restored.push('\\'),
            Some(escaped) => restored.push(escaped),
            None => {}
        }
    }
    restored.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the engine gets, and what the packet is.
    fn read(packet: &str) -> (String, ClientPacket) {
        let mut bytes = packet.as_bytes().to_vec();
        let kind = ClientPacketReader::read(&mut bytes);
        (String::from_utf8(bytes).unwrap(), kind)
    }

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
            let (passed, kind) = read(packet);
            assert_eq!((passed.as_str(), kind), (packet, expected));
        }
    }

    #[test]
    fn a_name_has_no_escape_for_the_engine() {
        for (packet, expected) in [
            (r#"42/feed,7["a\"b",{}]"#, "42/feed,7[\"a\u{7f}'b\",{}]"),
            (r#"42["\\","\\"]"#, "42[\"\u{7f}\u{7f}\",\"\\\\\"]"),
            (r#"42/x, [ "\u202e"]"#, "42/x, [ \"\u{7f}u202e\"]"),
            (
                r#"451-/feed,1["\n",{"_placeholder":true}]"#,
                "451-/feed,1[\"\u{7f}n\",{\"_placeholder\":true}]",
            ),
            // Only a name is read by the engine.
            (r#"42/feed,[7,"a\"b"]"#, r#"42/feed,[7,"a\"b"]"#),
            (r#"40/feed,{"a":"\n"}"#, r#"40/feed,{"a":"\n"}"#),
            (r#"43/feed,1["\n"]"#, r#"43/feed,1["\n"]"#),
        ] {
            assert_eq!(read(packet).0, expected);
        }
    }

    proptest! {
        /// Whatever a name contains, except DEL, is restored.
        #[test]
        fn every_name_is_restored(name in "[^\u{7f}]*", padding in "[ \t]{0,3}") {
            let json = serde_json::to_string(&name).unwrap();
            let (passed, kind) = read(&format!("42/feed,{padding}[{padding}{json}]"));
            prop_assert_eq!(kind, ClientPacket::Request);
            prop_assert!(!passed.contains('\\'));
            let passed = passed.split_once('"').unwrap().1.rsplit_once('"').unwrap().0;
            let passed = format!("\"{passed}\"");
            prop_assert_eq!(serde_json::from_str::<String>(&passed).unwrap().len(), passed.len() - 2);
            prop_assert_eq!(restored_name(&passed), json);
        }
    }
}
