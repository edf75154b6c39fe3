use std::{mem, rc::Rc};

use memchr::{memchr, memmem};

use super::{
    error::BenchError, frame, message::BenchMessage, protocol::WatchProtocol, sequence::Sequence,
};

/// The most that is buffered of an incomplete message. A feed's messages have at most 256 KiB, and no
/// server under test sends longer ones.
const BUFFERED_BYTES_MAX: usize = 1024 * 1024;

/// One connection that follows an account: it takes bytes and returns checked messages.
#[derive(Debug)]
pub(crate) struct BenchWatcher {
    protocol: Rc<WatchProtocol>,
    sequence: Sequence,
    /// The server has accepted the HTTP request.
    is_accepted: bool,
    /// The start of an incomplete frame or chunk.
    rest: Vec<u8>,
    /// The start of an incomplete SSE event.
    event: Vec<u8>,
}

/// What a watcher has received.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Received {
    /// It is live.
    Live,
    /// `count` entries in one message of `bytes` bytes.
    Entries { count: u64, bytes: u64 },
}

impl BenchWatcher {
    pub(crate) fn new(protocol: Rc<WatchProtocol>, account: String) -> Self {
        Self {
            protocol,
            sequence: Sequence::new(account),
            is_accepted: false,
            rest: Vec::new(),
            event: Vec::new(),
        }
    }

    /// Reads bytes, in pieces of any length. Appends to `answer` what must be written back.
    pub(crate) fn read(
        &mut self,
        bytes: &[u8],
        answer: &mut Vec<u8>,
        received: &mut impl FnMut(Received),
    ) -> Result<(), BenchError> {
        if self.rest.is_empty() {
            let consumed = self.read_complete(bytes, answer, received)?;
            self.rest.extend(&bytes[consumed..]);
        } else {
            let mut buffered = mem::take(&mut self.rest);
            buffered.extend(bytes);
            let consumed = self.read_complete(&buffered, answer, received)?;
            buffered.drain(..consumed);
            self.rest = buffered;
        }
        match self.rest.len() + self.event.len() {
            ..=BUFFERED_BYTES_MAX => Ok(()),
            _ => Err(BenchError::garbled(b"a message that does not end")),
        }
    }

    /// Reads all complete frames or chunks, and returns how many bytes they took.
    fn read_complete(
        &mut self,
        bytes: &[u8],
        answer: &mut Vec<u8>,
        received: &mut impl FnMut(Received),
    ) -> Result<usize, BenchError> {
        let mut consumed = 0;
        if !self.is_accepted {
            let Some(end) = memmem::find(bytes, b"\r\n\r\n") else {
                return Ok(0);
            };
            if !bytes.starts_with(self.protocol.accepted()) {
                return Err(BenchError::refused(bytes));
            }
            self.is_accepted = true;
            consumed = end + 4;
        }
        let protocol = self.protocol.clone();
        if let WatchProtocol::Sse { .. } = *protocol {
            while let Some((chunk, length)) = first_chunk(&bytes[consumed..])? {
                self.read_chunk(chunk, received)?;
                consumed += length;
            }
            return Ok(consumed);
        }
        while let Some((frame, length)) = frame::first(&bytes[consumed..])? {
            match (frame.opcode, &*protocol) {
                (frame::PING, _) => frame::write(answer, frame::PONG, frame.payload),
                (frame::CLOSE, _) => return Err(BenchError::Closed),
                (frame::TEXT, WatchProtocol::SocketIo { namespace, token }) => {
                    self.read_packet(frame.payload, namespace, token, answer, received)?;
                }
                (frame::TEXT, _) => self.read_message(frame.payload, frame.payload, received)?,
                _ => return Err(BenchError::garbled(frame.payload)),
            }
            consumed += length;
        }
        Ok(consumed)
    }

    /// Reads an Engine.IO 4 packet with the Socket.IO 5 packet in it.
    fn read_packet(
        &mut self,
        packet: &[u8],
        namespace: &str,
        token: &str,
        answer: &mut Vec<u8>,
        received: &mut impl FnMut(Received),
    ) -> Result<(), BenchError> {
        match packet {
            [b'0', ..] => {
                WatchProtocol::write_connect(answer, namespace, token, self.sequence.account())
            }
            [b'2', ..] => frame::write(answer, frame::TEXT, b"3"),
            [b'4', b'0', ..] => {}
            [b'4', b'1', ..] => return Err(BenchError::Closed),
            [b'4', b'2', event @ ..] => {
                // `["name",{…}]`
                let event = event.strip_prefix(namespace.as_bytes());
                let argument = event.and_then(|event| {
                    let comma = memchr(b',', event)?;
                    event[comma + 1..].strip_suffix(b"]")
                });
                let json = argument.ok_or_else(|| BenchError::garbled(packet))?;
                self.read_message(json, packet, received)?;
            }
            [b'4', b'4', why @ ..] => return Err(BenchError::refused(why)),
            _ => return Err(BenchError::garbled(packet)),
        }
        Ok(())
    }

    /// Reads the lines of a chunk; an empty line ends an event.
    fn read_chunk(
        &mut self,
        chunk: &[u8],
        received: &mut impl FnMut(Received),
    ) -> Result<(), BenchError> {
        if chunk.is_empty() {
            return Err(BenchError::Closed);
        }
        let mut buffered = mem::take(&mut self.event);
        buffered.extend(chunk);
        let mut consumed = 0;
        while let Some(end) = memmem::find(&buffered[consumed..], b"\n\n") {
            let event = &buffered[consumed..consumed + end];
            if let Some(data) = memmem::find(event, b"data: ") {
                let line = &event[data + b"data: ".len()..];
                let json = &line[..memchr(b'\n', line).unwrap_or(line.len())];
                self.read_message(json, json, received)?;
            }
            consumed += end + 2;
        }
        buffered.drain(..consumed);
        self.event = buffered;
        Ok(())
    }

    fn read_message(
        &mut self,
        json: &[u8],
        payload: &[u8],
        received: &mut impl FnMut(Received),
    ) -> Result<(), BenchError> {
        match BenchMessage::read(json)? {
            BenchMessage::Live { offset } => {
                self.sequence.start_after(offset);
                received(Received::Live);
            }
            BenchMessage::Update { account, from, to } => received(Received::Entries {
                count: self.sequence.accept(account, from, to)?,
                bytes: payload.len() as u64,
            }),
            BenchMessage::Closing => return Err(BenchError::Closed),
            BenchMessage::Other => {}
        }
        Ok(())
    }
}

/// The chunk at the start of a body (RFC 9112, section 7.1), and its length including size line and line end.
fn first_chunk(bytes: &[u8]) -> Result<Option<(&[u8], usize)>, BenchError> {
    let Some(end) = memmem::find(bytes, b"\r\n") else {
        return Ok(None);
    };
    let length = std::str::from_utf8(&bytes[..end]).ok();
    let length = length.and_then(|hex| usize::from_str_radix(hex, 16).ok());
    let length = length
        .filter(|length| *length <= BUFFERED_BYTES_MAX)
        .ok_or_else(|| BenchError::garbled(&bytes[..end]))?;
    let start = end + 2;
    let chunk = bytes.get(start..start + length + 2);
    Ok(chunk.map(|chunk| (&chunk[..length], start + length + 2)))
}
