use std::{mem, rc::Rc};

use memchr::{memchr, memmem};

use super::{Fault, Way, frame, message::Message, sequence::Sequence};

/// What a watcher keeps of a message that is not whole yet, at most. No server under test sends one that
/// is longer than a feed's messages, which end at 256 KiB.
const REST_BYTES_MAX: usize = 1024 * 1024;

/// One connection that follows an account: bytes in, checked messages out.
#[derive(Debug)]
pub(crate) struct Watcher {
    way: Rc<Way>,
    sequence: Sequence,
    /// The server has agreed to what the first request asked for.
    is_agreed: bool,
    /// The beginning of what is not whole yet.
    rest: Vec<u8>,
    /// The beginning of an event that is not whole yet, out of its chunks.
    event: Vec<u8>,
}

/// What a watcher has got.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum News {
    /// It follows.
    Live,
    /// That many entries in one message of that many bytes.
    Entries { count: u64, bytes: u64 },
}

impl Watcher {
    pub(crate) fn new(way: Rc<Way>, account: String) -> Self {
        Self {
            way,
            sequence: Sequence::new(account),
            is_agreed: false,
            rest: Vec::new(),
            event: Vec::new(),
        }
    }

    /// Takes what was read, in pieces of any length. Appends to `answer` what must be written back.
    pub(crate) fn read(
        &mut self,
        bytes: &[u8],
        answer: &mut Vec<u8>,
        news: &mut impl FnMut(News),
    ) -> Result<(), Fault> {
        if self.rest.is_empty() {
            let taken = self.take(bytes, answer, news)?;
            self.rest.extend(&bytes[taken..]);
        } else {
            let mut held = mem::take(&mut self.rest);
            held.extend(bytes);
            let taken = self.take(&held, answer, news)?;
            held.drain(..taken);
            self.rest = held;
        }
        match self.rest.len() + self.event.len() {
            ..=REST_BYTES_MAX => Ok(()),
            _ => Err(Fault::garbled(b"a message that does not end")),
        }
    }

    /// Takes what is whole; answers how many bytes that was.
    fn take(
        &mut self,
        bytes: &[u8],
        answer: &mut Vec<u8>,
        news: &mut impl FnMut(News),
    ) -> Result<usize, Fault> {
        let mut taken = 0;
        if !self.is_agreed {
            let Some(end) = memmem::find(bytes, b"\r\n\r\n") else {
                return Ok(0);
            };
            if !bytes.starts_with(self.way.agreed()) {
                return Err(Fault::refused(bytes));
            }
            self.is_agreed = true;
            taken = end + 4;
        }
        let way = self.way.clone();
        if let Way::Sse { .. } = *way {
            while let Some((chunk, length)) = first_chunk(&bytes[taken..])? {
                self.take_chunk(chunk, news)?;
                taken += length;
            }
            return Ok(taken);
        }
        while let Some((frame, length)) = frame::first(&bytes[taken..])? {
            match (frame.opcode, &*way) {
                (frame::PING, _) => frame::write(answer, frame::PONG, frame.payload),
                (frame::CLOSE, _) => return Err(Fault::Closed),
                (frame::TEXT, Way::SocketIo { namespace, token }) => {
                    self.take_packet(frame.payload, namespace, token, answer, news)?;
                }
                (frame::TEXT, _) => self.take_message(frame.payload, frame.payload, news)?,
                _ => return Err(Fault::garbled(frame.payload)),
            }
            taken += length;
        }
        Ok(taken)
    }

    /// A packet of Engine.IO 4, and in it one of Socket.IO 5.
    fn take_packet(
        &mut self,
        packet: &[u8],
        namespace: &str,
        token: &str,
        answer: &mut Vec<u8>,
        news: &mut impl FnMut(News),
    ) -> Result<(), Fault> {
        match packet {
            [b'0', ..] => Way::join(answer, namespace, token, self.sequence.account()),
            [b'2', ..] => frame::write(answer, frame::TEXT, b"3"),
            [b'4', b'0', ..] => {}
            [b'4', b'1', ..] => return Err(Fault::Closed),
            [b'4', b'2', event @ ..] => {
                // `["name",{…}]`
                let event = event.strip_prefix(namespace.as_bytes());
                let argument = event.and_then(|event| {
                    let comma = memchr(b',', event)?;
                    event[comma + 1..].strip_suffix(b"]")
                });
                let json = argument.ok_or_else(|| Fault::garbled(packet))?;
                self.take_message(json, packet, news)?;
            }
            [b'4', b'4', why @ ..] => return Err(Fault::refused(why)),
            _ => return Err(Fault::garbled(packet)),
        }
        Ok(())
    }

    /// The lines of a chunk; an empty one ends an event.
    fn take_chunk(&mut self, chunk: &[u8], news: &mut impl FnMut(News)) -> Result<(), Fault> {
        if chunk.is_empty() {
            return Err(Fault::Closed);
        }
        let mut held = mem::take(&mut self.event);
        held.extend(chunk);
        let mut taken = 0;
        while let Some(end) = memmem::find(&held[taken..], b"\n\n") {
            let event = &held[taken..taken + end];
            if let Some(data) = memmem::find(event, b"data: ") {
                let line = &event[data + b"data: ".len()..];
                let json = &line[..memchr(b'\n', line).unwrap_or(line.len())];
                self.take_message(json, json, news)?;
            }
            taken += end + 2;
        }
        held.drain(..taken);
        self.event = held;
        Ok(())
    }

    fn take_message(
        &mut self,
        json: &[u8],
        payload: &[u8],
        news: &mut impl FnMut(News),
    ) -> Result<(), Fault> {
        match Message::read(json)? {
            Message::Live { offset } => {
                self.sequence.starts_after(offset);
                news(News::Live);
            }
            Message::Update { account, from, to } => news(News::Entries {
                count: self.sequence.take(account, from, to)?,
                bytes: payload.len() as u64,
            }),
            Message::Closing => return Err(Fault::Closed),
            Message::Other => {}
        }
        Ok(())
    }
}

/// The chunk at the beginning of a body (RFC 9112, section 7.1), and its length with all around it.
fn first_chunk(bytes: &[u8]) -> Result<Option<(&[u8], usize)>, Fault> {
    let Some(end) = memmem::find(bytes, b"\r\n") else {
        return Ok(None);
    };
    let length = std::str::from_utf8(&bytes[..end]).ok();
    let length = length.and_then(|hex| usize::from_str_radix(hex, 16).ok());
    let length = length
        .filter(|length| *length <= REST_BYTES_MAX)
        .ok_or_else(|| Fault::garbled(&bytes[..end]))?;
    let start = end + 2;
    let chunk = bytes.get(start..start + length + 2);
    Ok(chunk.map(|chunk| (&chunk[..length], start + length + 2)))
}
