use std::io;

use super::chunks::{ChunkProgress, ChunkScan};
use super::head::{Framing, HeadProgress, HeadScan};

/// Finds the end of one request in the bytes of a connection.
#[derive(Debug)]
pub(super) enum RequestScan {
    Head(HeadScan),
    /// In a body of which so many bytes are left.
    Body(u64),
    Chunks(ChunkScan),
    /// The request has ended.
    Whole,
    /// The next byte of the head must not reach the parser.
    Ambiguous,
    /// The next byte of the body is no chunk's.
    Malformed,
}

impl RequestScan {
    pub(super) fn new() -> Self {
        Self::Head(HeadScan::new())
    }

    /// Whether the head has begun, and has not ended.
    pub(super) fn is_in_head(&self) -> bool {
        matches!(self, Self::Head(head) if head.has_begun())
    }

    /// Reads the next bytes of the connection. Returns how many of them belong to the request and may reach the
    /// parser.
    ///
    /// # Errors
    /// If the body has malformed chunks.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match self {
                Self::Head(head) => match head.scan(rest) {
                    HeadProgress::Unfinished => at = bytes.len(),
                    HeadProgress::EndsAt(end, framing) => {
                        at += end;
                        *self = Self::body(framing);
                    }
                    HeadProgress::AmbiguousAt(place) => {
                        at += place;
                        *self = Self::Ambiguous;
                    }
                },
                Self::Body(left) => {
                    let taken =
                        usize::try_from(*left).map_or(rest.len(), |left| left.min(rest.len()));
                    at += taken;
                    *self = Self::body(Framing::Length(*left - taken as u64));
                }
                Self::Chunks(chunks) => match chunks.scan(rest) {
                    ChunkProgress::Unfinished => at = bytes.len(),
                    ChunkProgress::EndsAt(end) => {
                        at += end;
                        *self = Self::Whole;
                    }
                    ChunkProgress::MalformedAt(place) => {
                        at += place;
                        *self = Self::Malformed;
                    }
                },
                // What came before it is read first, so that the request is answered.
                Self::Malformed if at == 0 => {
                    let why = "the body has malformed chunks";
                    return Err(io::Error::new(io::ErrorKind::InvalidData, why));
                }
                Self::Whole | Self::Ambiguous | Self::Malformed => break,
            }
        }
        Ok(at)
    }

    fn body(framing: Framing) -> Self {
        match framing {
            Framing::Length(0) => Self::Whole,
            Framing::Length(bytes) => Self::Body(bytes),
            Framing::Chunked => Self::Chunks(ChunkScan::default()),
        }
    }
}
