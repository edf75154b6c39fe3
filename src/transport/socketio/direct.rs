//! The way past the engine: a message of the feed as a finished frame, written to the connection by whoever
//! has it, with no channel, copy or other task in between.

use std::{io::IoSlice, sync::Arc};

use serde_json::value::RawValue;

use super::{
    frame::{HEADER_BYTES_MAX, text_header},
    limits::UNWRITTEN_BYTES_MAX,
    session::Session,
};
use crate::feed::{Message, Sink};

/// What stands before an event's name and after it, and behind its payload.
const OPENING: &[u8] = b"42/feed,[\"";
const MIDDLE: &[u8] = b"\",";
const END: &[u8] = b"]";

/// The longest name of a message: `snapshot`, `rollover`.
const NAME_BYTES_MAX: usize = 8;
const HEAD_BYTES_MAX: usize = HEADER_BYTES_MAX + OPENING.len() + NAME_BYTES_MAX + MIDDLE.len();

/// The slices of one frame: its head, its payload, its end.
const SLICES: usize = 3;

/// The most messages of one write: a burst. More are rare and may take two writes.
pub(super) const FRAMES_MAX: usize = 16;

/// A feed's message as a WebSocket frame. Only the head is made for it: all who get it share its payload.
#[derive(Debug)]
pub(super) struct DirectFrame {
    head: [u8; HEAD_BYTES_MAX],
    head_len: usize,
    json: Arc<RawValue>,
}

impl DirectFrame {
    pub(super) fn new(message: &Message) -> Self {
        let (name, json) = (message.name().as_bytes(), message.json());
        let packet = OPENING.len() + name.len() + MIDDLE.len() + json.get().len() + END.len();
        let (header, header_len) = text_header(packet);
        let mut frame = Self {
            head: [0; HEAD_BYTES_MAX],
            head_len: 0,
            json: Arc::clone(json),
        };
        for part in [&header[..header_len], OPENING, name, MIDDLE] {
            frame.head[frame.head_len..][..part.len()].copy_from_slice(part);
            frame.head_len += part.len();
        }
        frame
    }

    pub(super) fn bytes(&self) -> usize {
        self.head_len + self.json.get().len() + END.len()
    }

    /// What comes after its first `skip` bytes.
    fn after(&self, mut skip: usize) -> [IoSlice<'_>; SLICES] {
        [&self.head[..self.head_len], self.json.get().as_bytes(), END].map(|part| {
            let of_part = skip.min(part.len());
            skip -= of_part;
            IoSlice::new(&part[of_part..])
        })
    }
}

/// Some frames in a row, of which the first bytes may have been written.
#[derive(Debug)]
pub(super) struct Row<'a> {
    frames: &'a [DirectFrame],
    /// Of the first frame.
    written: usize,
}

impl<'a> Row<'a> {
    /// # Panics
    /// When these are more than a write takes.
    pub(super) fn new(frames: &'a [DirectFrame]) -> Self {
        assert!(frames.len() <= FRAMES_MAX, "a row has a bound");
        Self { frames, written: 0 }
    }

    pub(super) fn is_written(&self) -> bool {
        self.frames.is_empty()
    }

    /// Does something with what is left of it.
    pub(super) fn with_slices<T>(&self, act: impl FnOnce(&[IoSlice<'_>]) -> T) -> T {
        let mut slices = [IoSlice::new(&[]); SLICES * FRAMES_MAX];
        let mut skip = self.written;
        for (frame, place) in self.frames.iter().zip(slices.chunks_exact_mut(SLICES)) {
            place.copy_from_slice(&frame.after(std::mem::take(&mut skip)));
        }
        act(&slices[..SLICES * self.frames.len()])
    }

    pub(super) fn advance(&mut self, bytes: usize) {
        self.written += bytes;
        while let Some((first, others)) = self.frames.split_first()
            && self.written >= first.bytes()
        {
            self.written -= first.bytes();
            self.frames = others;
        }
    }

    /// How many frames have not begun.
    pub(super) fn untouched(&self) -> usize {
        self.frames.len() - usize::from(self.written > 0)
    }

    /// How far the first of them is, if it has begun.
    pub(super) fn begun(&self) -> Option<usize> {
        (self.written > 0).then_some(self.written)
    }
}

/// The end of a frame that was begun.
#[derive(Debug)]
pub(super) struct Rest {
    frame: DirectFrame,
    written: usize,
    /// What is counted for it until it is written.
    pub(super) counted: usize,
}

impl Rest {
    pub(super) fn new(frame: DirectFrame, written: usize) -> Self {
        let counted = frame.bytes() - written;
        Self {
            frame,
            written,
            counted,
        }
    }

    pub(super) fn row(&self) -> Row<'_> {
        Row {
            frames: std::slice::from_ref(&self.frame),
            written: self.written,
        }
    }

    /// Whether all of it is written, with these bytes.
    pub(super) fn advance(&mut self, bytes: usize) -> bool {
        self.written += bytes;
        self.written >= self.frame.bytes()
    }
}

/// A feed socket's place on its connection: open while nothing of the engine's is in the way.
#[derive(Clone)]
pub(super) struct Direct {
    session: Arc<Session>,
    /// Which of the session's feed sockets it is.
    admission: u32,
}

impl Direct {
    pub(super) fn new(session: Arc<Session>, admission: u32) -> Self {
        Self { session, admission }
    }
}

impl Sink for Direct {
    fn is_open(&self) -> bool {
        self.session.conn().is_some() && self.session.flow.is_clear(self.admission)
    }

    /// One message that was begun is finished whatever happens, or the connection is cut.
    fn offer(&self, messages: &[Message]) -> usize {
        let Some(conn) = self.session.conn() else {
            return 0;
        };
        if !self.session.flow.is_clear(self.admission) {
            return 0;
        }
        let mut bytes = 0;
        let mut frames = Vec::with_capacity(1);
        for message in messages {
            if frames.len() == FRAMES_MAX || bytes >= UNWRITTEN_BYTES_MAX {
                break;
            }
            let frame = DirectFrame::new(message);
            bytes += frame.bytes();
            frames.push(frame);
        }
        conn.write_direct(self.admission, frames)
    }
}
