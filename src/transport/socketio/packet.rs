//! What a packet on its way to the client is, told by how its text begins.

/// The feed's namespace as packets name it.
const FEED: &[u8] = b"/feed,";

/// The feed's own events as they begin. A push by this name is refused, so whatever else comes by in the
/// feed's namespace is of others.
const FEED_EVENTS: [&[u8]; 6] = [
    b"[\"snapshot\"",
    b"[\"update\"",
    b"[\"live\"",
    b"[\"rollover\"",
    b"[\"closing\"",
    b"[\"auth_expiring\"",
];

/// A packet, as far as we care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packet {
    /// An event or ack of the feed's: it was counted when it was emitted.
    Feed,
    /// A push to the feed's namespace, ours or a host's.
    FeedPush,
    /// A socket was let into the feed.
    FeedConnect,
    /// A socket was shown out of the feed.
    FeedDisconnect,
    /// The head of so many attachments, which follow it with nothing in between.
    Binary(u32),
    /// The engine's own close packet, which precedes its close frames.
    Close,
    Other,
}

impl Packet {
    /// Told by its first bytes, at least as many as [`Passed`](super::frame::Passed) keeps.
    pub(super) fn of(start: &[u8]) -> Self {
        match start {
            b"1" => Self::Close,
            [b'4', b'5' | b'6', rest @ ..] => Self::Binary(attachments(rest)),
            [b'4', kind, rest @ ..] => match (kind, rest.strip_prefix(FEED)) {
                (b'0', Some(_)) => Self::FeedConnect,
                (b'1', Some(_)) => Self::FeedDisconnect,
                (b'2', Some(event)) if is_feed_event(event) => Self::Feed,
                (b'2', Some([b'[', ..])) => Self::FeedPush,
                (b'3', Some(_)) => Self::Feed,
                _ => Self::Other,
            },
            _ => Self::Other,
        }
    }
}

fn is_feed_event(event: &[u8]) -> bool {
    FEED_EVENTS.iter().any(|name| event.starts_with(name))
}

/// How many attachments the head of a binary packet announces: `2-…`. What cannot be read never ends.
fn attachments(rest: &[u8]) -> u32 {
    let digits = rest.split(|byte| *byte == b'-').next();
    let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
    digits
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_feeds_own_packets_are_told_from_those_of_others() {
        for (packet, expected) in [
            ("42/feed,[\"update\",{}]", Packet::Feed),
            ("42/feed,[\"auth_expiring\"", Packet::Feed),
            ("43/feed,7[{\"ok\":true}]", Packet::Feed),
            ("42/feed,[\"updates\",{}]", Packet::FeedPush),
            ("42/feed,7[\"update\",{}]", Packet::Other),
            ("42/feeds,[\"update\",{}]", Packet::Other),
            ("42[\"update\",{}]", Packet::Other),
            ("40/feed,{\"sid\":\"x\"}", Packet::FeedConnect),
            ("41/feed,", Packet::FeedDisconnect),
            ("44/feed,{\"message\":\"x\"}", Packet::Other),
            ("1", Packet::Close),
            ("2", Packet::Other),
        ] {
            assert_eq!(Packet::of(packet.as_bytes()), expected, "{packet}");
        }
    }

    #[test]
    fn a_binary_packet_tells_how_many_attachments_follow() {
        assert_eq!(Packet::of(b"452-/host,[\"x\""), Packet::Binary(2));
        assert_eq!(Packet::of(b"4612-3[]"), Packet::Binary(12));
        assert_eq!(Packet::of(b"45x"), Packet::Binary(u32::MAX));
    }
}
