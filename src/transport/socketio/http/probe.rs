//! The probe of an upgrade, answered here before the engine gets the stream.
//!
//! A client that moves from polling to a WebSocket sends `2probe`, receives `3probe`, lets its last poll end, and sends
//! `5`. The engine would stop polling at `2probe` and never resume: an abandoned upgrade would leave a session that
//! answers nothing. So the engine gets the stream only after the `5`, and reads both frames then.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::transport::{limits::READ_BYTES, websocket::CloseCode, wire::Wire};

/// `3probe` as a whole frame. The engine writes the same frame later, which the client does not get.
pub(super) const ANSWER: &[u8] = b"\x81\x063probe";

const TEXT_FINAL: u8 = 0x81;
const MASKED: u8 = 0x80;
/// First byte, length byte, mask.
const HEADER_BYTES: usize = 6;

/// The most bytes that a client may send during a probe.
const PROBE_BYTES_MAX: usize = 4 * READ_BYTES;

/// Answers the probe, and waits for the upgrade. Returns all bytes that the client has sent, or `None` if it has
/// disconnected or sent something else.
pub(super) async fn run(wire: &mut Wire, early: Bytes) -> Option<Bytes> {
    let mut received = BytesMut::from(early.as_ref());
    let first = expect(wire, &mut received, 0, b"2probe").await?;
    wire.write_all(ANSWER).await.ok()?;
    wire.flush().await.ok()?;
    expect(wire, &mut received, first, b"5").await?;
    Some(received.freeze())
}

/// Reads until the frame at `at` is complete. Returns where it ends, if it has the wanted text.
async fn expect(wire: &mut Wire, received: &mut BytesMut, at: usize, text: &[u8]) -> Option<usize> {
    loop {
        match match_frame(&received[at..], text) {
            ProbeFrame::Yes(len) => return Some(at + len),
            ProbeFrame::No => {
                // Best effort: the connection closes either way.
                let _: std::io::Result<()> = wire.write_all(&CloseCode::Protocol.frame()).await;
                return None;
            }
            ProbeFrame::Incomplete if received.len() >= PROBE_BYTES_MAX => return None,
            ProbeFrame::Incomplete => {
                received.reserve(READ_BYTES);
                if wire.read_buf(received).await.ok()? == 0 {
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

/// Whether `bytes` begin with a client's frame of exactly this text.
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
    fn a_probe_is_recognised_with_any_mask() {
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
