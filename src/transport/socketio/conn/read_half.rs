//! What is read from a client.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, ReadBuf};

use super::super::{
    frame::{CloseCode, Inbound},
    limits::READ_BYTES,
    wire::Wire,
    writers::keep,
};

/// A client's answer to the engine's ping, masked with zeros.
const PONG: &[u8] = &[0x81, 0x81, 0, 0, 0, 0, b'3'];

/// The engine pings as soon as a session opens, and stock servers do after the first interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FirstPing {
    /// Not seen yet: it will be swallowed.
    Expected,
    /// Swallowed: the engine is owed a pong.
    Owed,
    Done,
}

/// The reading half of a WebSocket: the client's bytes on their way to the engine, and what they tell.
#[derive(Debug)]
pub(super) struct ReadHalf {
    /// To be read before what comes from the wire.
    early: Bytes,
    inbound: Inbound,
    fault: Option<CloseCode>,
    first_ping: FirstPing,
    reader: Option<Waker>,
}

impl ReadHalf {
    pub(super) fn new(early: Bytes) -> Self {
        Self {
            early,
            inbound: Inbound::default(),
            fault: None,
            first_ping: FirstPing::Expected,
            reader: None,
        }
    }

    pub(super) fn without_first_ping(&mut self) {
        self.first_ping = FirstPing::Done;
    }

    pub(super) fn expects_first_ping(&self) -> bool {
        self.first_ping == FirstPing::Expected
    }

    /// The engine's first ping was swallowed: it reads a pong that no client sent.
    pub(super) fn owe_pong(&mut self) {
        self.first_ping = FirstPing::Owed;
        self.wake();
    }

    /// The code with which a breach of the protocol is answered, if there was one.
    pub(super) fn fault(&self) -> Option<CloseCode> {
        self.fault
    }

    /// Whether the client has begun to close.
    pub(super) fn is_closing(&self) -> bool {
        self.inbound.is_closing()
    }

    /// Remembers whom to wake once there may be something to read.
    pub(super) fn reader_waits(&mut self, cx: &Context<'_>) {
        keep(&mut self.reader, cx);
    }

    pub(super) fn wake(&mut self) {
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }

    /// Reads from a wire, which is `None` once the connection is dead.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        wire: Option<Pin<&mut Wire>>,
    ) -> Poll<io::Result<()>> {
        let owed = self.first_ping == FirstPing::Owed && self.inbound.at_boundary();
        if owed && buf.remaining() >= PONG.len() {
            self.first_ping = FirstPing::Done;
            buf.put_slice(PONG);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        if self.early.has_remaining() {
            let taken = self.early.len().min(buf.remaining()).min(READ_BYTES);
            buf.put_slice(&self.early.split_to(taken));
            if self.early.is_empty() {
                self.early = Bytes::new();
            }
        } else {
            let Some(wire) = wire else {
                return Poll::Ready(Ok(()));
            };
            ready!(wire.poll_read(cx, buf))?;
        }
        let verdict = self.inbound.take(&buf.filled()[before..]);
        Poll::Ready(verdict.map_err(|code| {
            self.fault = Some(code);
            code.breach()
        }))
    }
}
