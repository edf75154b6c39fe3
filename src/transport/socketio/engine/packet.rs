//! Packets on their way to the client, identified by the first bytes of their text.

use std::time::Duration;

use bytes::Bytes;

use crate::transport::{
    limits::MESSAGE_BYTES_MAX,
    socketio::limits::{ENGINE_PING_TIMEOUT, POLLING_BODY_BYTES_MAX},
};

/// The separator of packets in a polling body (Engine.IO 4).
pub(crate) const SEPARATOR: u8 = 0x1e;

/// The feed's namespace in a packet.
pub(super) const FEED: &[u8] = b"/feed,";

/// How the feed's own events begin. Pushes with these names are refused, so any other event in the feed's namespace is
/// a push.
const FEED_EVENTS: [&[u8]; 6] = [
    b"[\"snapshot\"",
    b"[\"update\"",
    b"[\"live\"",
    b"[\"rollover\"",
    b"[\"closing\"",
    b"[\"auth_expiring\"",
];

/// The kinds of packets that are counted or handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    /// An event or ack of the feed. It was counted when it was emitted.
    Feed,
    /// A push to the feed's namespace, by us or by a host.
    FeedPush,
    /// The answer to a CONNECT to the feed's namespace.
    FeedConnect,
    /// A DISCONNECT from the feed's namespace.
    FeedDisconnect,
    /// A packet with this number of attachments, which must follow it directly.
    Binary(u32),
    /// The engine's own close packet, which precedes its close frames.
    Close,
    /// The engine's ping.
    Ping,
    Other,
}

impl Packet {
    /// Identifies a packet by its first bytes: at least as many as
    /// [`PassedFrame`](crate::transport::websocket::PassedFrame) keeps.
    pub(crate) fn of(start: &[u8]) -> Self {
        match start {
            b"1" => Self::Close,
            b"2" => Self::Ping,
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

/// The number of attachments that a binary packet announces: `2-…`. If it cannot be parsed, it is the
/// largest number.
fn attachments(rest: &[u8]) -> u32 {
    let digits = rest.split(|byte| *byte == b'-').next();
    let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
    digits
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(u32::MAX)
}

/// The engine's open packet, with our limit on what a client sends, as the engine knows only one limit for both
/// directions, and with the time that a client has to answer a ping.
pub(crate) fn with_our_limits(open: &[u8], ping_timeout: Duration) -> Bytes {
    let open = String::from_utf8_lossy(open);
    let payload = |bytes: u64| format!("\"maxPayload\":{bytes}");
    let open = open.replacen(
        &payload(POLLING_BODY_BYTES_MAX),
        &payload(MESSAGE_BYTES_MAX as u64),
        1,
    );
    let timeout = |time: Duration| format!("\"pingTimeout\":{}", time.as_millis());
    let open = open.replacen(&timeout(ENGINE_PING_TIMEOUT), &timeout(ping_timeout), 1);
    open.into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_identified_by_their_first_bytes() {
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
            ("2", Packet::Ping),
            ("2probe", Packet::Other),
        ] {
            assert_eq!(Packet::of(packet.as_bytes()), expected, "{packet}");
        }
    }

    #[test]
    fn a_binary_packet_announces_its_attachments() {
        assert_eq!(Packet::of(b"452-/host,[\"x\""), Packet::Binary(2));
        assert_eq!(Packet::of(b"4612-3[]"), Packet::Binary(12));
        assert_eq!(Packet::of(b"45x"), Packet::Binary(u32::MAX));
    }
}
