//! The upgrade's probe, played by us before the engine hears of it.
//!
//! A client that wants to move from polling to WebSocket sends `2probe`, gets `3probe`, lets its
//! last poll end, and sends `5`. The engine would stop polling at the first of these and never
//! go back: an upgrade that is given up would leave a session that answers nothing for ever.
//! So the engine gets the stream only after the `5`, with both frames to read again.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::transport::{limits::READ_BYTES, websocket::CloseCode, wire::Wire};

/// `3probe` as a whole frame. The engine will write the same, which is then kept from the client.
pub(super) const ANSWER: &[u8] = b"\x81\x063probe";

const TEXT_FINAL: u8 = 0x81;
const MASKED: u8 = 0x80;
/// First byte, length byte, mask.
const HEADER_BYTES: usize = 6;

/// What a client may send in the course of a probe, together.
const PROBE_BYTES_MAX: usize = 4 * READ_BYTES;

/// Plays the probe: all bytes that the client has sent once it has asked for the upgrade, or
/// `None` if it went away or asked for something else.
pub(super) async fn run(wire: &mut Wire, early: Bytes) -> Option<Bytes> {
    let mut seen = BytesMut::from(early.as_ref());
    let first = expect(wire, &mut seen, 0, b"2probe").await?;
    wire.write_all(ANSWER).await.ok()?;
    wire.flush().await.ok()?;
    expect(wire, &mut seen, first, b"5").await?;
    Some(seen.freeze())
}

/// Reads until the frame at `at` is there: where it ends, if it is the wanted text.
async fn expect(wire: &mut Wire, seen: &mut BytesMut, at: usize, text: &[u8]) -> Option<usize> {
    loop {
        match match_frame(&seen[at..], text) {
            ProbeFrame::Yes(len) => return Some(at + len),
            ProbeFrame::No => {
                // Told why, then gone; that it cannot be told is no news to anyone.
                let _: std::io::Result<()> = wire.write_all(&CloseCode::Protocol.frame()).await;
                return None;
            }
            ProbeFrame::Incomplete if seen.len() >= PROBE_BYTES_MAX => return None,
            ProbeFrame::Incomplete => {
                seen.reserve(READ_BYTES);
                if wire.read_buf(seen).await.ok()? == 0 {
                    return None;
                }
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum ProbeFrame {
    Yes(usize),
    No,
    Incomplete,
}

/// Whether `bytes` begin with a client's frame of just this text.
fn match_frame(bytes: &[u8], text: &[u8]) -> ProbeFrame {
    let expected = [
        TEXT_FINAL,
        MASKED | u8::try_from(text.len()).expect("a probe is short"),
    ];
    if !expected.starts_with(&bytes[..bytes.len().min(2)]) {
        return ProbeFrame::No;
    }
    let Some(frame) = bytes.get(..HEADER_BYTES + text.len()) else {
        return ProbeFrame::Incomplete;
    };
    let (mask, payload) = frame[2..].split_at(4);
    let plain = payload
        .iter()
        .zip(mask.iter().cycle())
        .map(|(byte, mask)| byte ^ mask);
    if plain.eq(text.iter().copied()) {
        ProbeFrame::Yes(frame.len())
    } else {
        ProbeFrame::No
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_known_whatever_its_mask() {
        let frame = [0x81, 0x81, 9, 8, 7, 6, b'5' ^ 9, 0xff];
        assert_eq!(match_frame(&frame, b"5"), ProbeFrame::Yes(7));
        assert_eq!(match_frame(&frame[..6], b"5"), ProbeFrame::Incomplete);
        assert_eq!(match_frame(&[], b"5"), ProbeFrame::Incomplete);
        assert_eq!(match_frame(&[0x82], b"5"), ProbeFrame::No);
        assert_eq!(
            match_frame(&[0x81, 0x81, 9, 8, 7, 6, b'5'], b"5"),
            ProbeFrame::No
        );
        assert_eq!(
            match_frame(&[0x81, 0x01, b'5'], b"5"),
            ProbeFrame::No,
            "unmasked"
        );
    }
}
