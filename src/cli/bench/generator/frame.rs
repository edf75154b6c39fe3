//! WebSocket frames (RFC 6455, section 5.2) on the client's side. Frames from servers are unmasked and unfragmented.

use super::error::BenchError;

pub(crate) const TEXT: u8 = 1;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;
const LENGTH_OF_16_BITS: u8 = 126;
const LENGTH_OF_64_BITS: u8 = 127;

/// A frame from a server.
#[derive(Debug, PartialEq)]
pub(crate) struct ServerFrame<'a> {
    pub(crate) opcode: u8,
    pub(crate) payload: &'a [u8],
}

/// The frame at the start of `bytes`, and its length in bytes; `None` while it is incomplete.
pub(crate) fn first(bytes: &[u8]) -> Result<Option<(ServerFrame<'_>, usize)>, BenchError> {
    let [first, second, rest @ ..] = bytes else {
        return Ok(None);
    };
    if first & FINAL == 0 || second & MASKED != 0 {
        return Err(BenchError::garbled(b"a fragment, or a masked frame"));
    }
    let (length, head) = match *second {
        LENGTH_OF_64_BITS => match rest.first_chunk::<8>() {
            Some(length) => (u64::from_be_bytes(*length), 10),
            None => return Ok(None),
        },
        LENGTH_OF_16_BITS => match rest.first_chunk::<2>() {
            Some(length) => (u16::from_be_bytes(*length).into(), 4),
            None => return Ok(None),
        },
        length => (length.into(), 2),
    };
    let end = usize::try_from(length)
        .ok()
        .and_then(|length| length.checked_add(head))
        .ok_or_else(|| BenchError::garbled(b"a frame that does not fit in memory"))?;
    let frame = bytes.get(head..end).map(|payload| ServerFrame {
        opcode: first & !FINAL,
        payload,
    });
    Ok(frame.map(|frame| (frame, end)))
}

/// Appends a client's frame. It must be masked; a key of zeros leaves the payload as it is, and is valid.
pub(crate) fn write(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.push(FINAL | opcode);
    match u16::try_from(payload.len()) {
        Ok(length) if length < LENGTH_OF_16_BITS.into() => {
            out.push(MASKED | payload.len().to_le_bytes()[0]);
        }
        Ok(length) => {
            out.push(MASKED | LENGTH_OF_16_BITS);
            out.extend(length.to_be_bytes());
        }
        Err(_) => {
            out.push(MASKED | LENGTH_OF_64_BITS);
            out.extend((payload.len() as u64).to_be_bytes());
        }
    }
    out.extend([0; 4]);
    out.extend(payload);
}
