//! The writing half of a connection. Bytes are written in this order: the rest of a direct write, then our own frames,
//! then the engine's bytes.
//!
//! ```text
//!    a new session: the engine's open packet is rewritten
//!    an upgrade: the engine's answer to the probe is swallowed, since the client already has it
//!                                              │
//!                                              ▼
//!                   a part is written                   the engine writes
//!   finishing a  ◄───────────────────── between packets ──────────────────────► inside a packet
//!   direct write ─────────────────────►                 ◄──────────────────────
//!        │          the rest is written        │        the packet and its             │
//!        │                                     │        attachments are complete       │
//!        │ the rest is written                 │                                       │ end of a frame
//!        └─────────────────────────────────────┼───────────────────────────────────────┘
//!                                              ▼ if a close is wanted
//!                                       our close frame ──► closed: every later write fails
//! ```
//!
//! A direct write is accepted only between packets, while the engine has nothing waiting, nothing of ours is unwritten
//! and no side closes.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use tokio::io::AsyncWrite;

use super::{
    engine_output::{EngineOutput, Intercepted, PING, SentPackets, open_frame},
    flow_control::FlowControl,
    read::ReadHalf,
};
use crate::transport::{
    websocket::CloseCode,
    wire::{DirectStream, Wire},
};

/// The writing half of a connection. It owns the wire, which the reading half borrows.
#[derive(Debug)]
pub(crate) struct WriteHalf {
    wire: DirectStream,
    /// How many bytes flow control counts for the rest of a direct write.
    rest_counted: usize,
    /// Whether a task is finishing a direct write.
    is_finishing: bool,
    /// Our own frames, to be written before the engine's bytes.
    ours: Bytes,
    /// Whether the engine waits to write or flush. It comes before direct writes.
    engine_waits: bool,
    /// How many of the engine's next bytes the client must not get.
    swallow: usize,
    /// Whether the engine's open packet is still to come.
    opens: bool,
    engine: EngineOutput,
    closing: CloseState,
    sent: SentPackets,
}

impl WriteHalf {
    pub(crate) fn new(wire: Wire) -> Self {
        Self {
            wire: DirectStream::new(wire),
            rest_counted: 0,
            is_finishing: false,
            ours: Bytes::new(),
            engine_waits: false,
            swallow: 0,
            opens: true,
            engine: EngineOutput::default(),
            closing: CloseState::No,
            sent: SentPackets::default(),
        }
    }

    /// For an upgrade: the client must not get the engine's first `bytes`.
    pub(crate) fn swallow(&mut self, bytes: usize) {
        self.swallow = bytes;
        self.opens = false;
    }

    pub(crate) fn wire(&mut self) -> Option<Pin<&mut Wire>> {
        self.wire.get().ok()
    }

    /// How many bytes the wire has taken.
    pub(crate) fn taken(&self) -> u64 {
        self.wire.taken()
    }

    /// What writes have completed since the last call.
    pub(crate) fn take_sent(&mut self) -> SentPackets {
        std::mem::take(&mut self.sent)
    }

    /// Requests a close frame with this code at the next boundary.
    pub(crate) fn want_close(&mut self, code: CloseCode) {
        if self.closing == CloseState::No {
            self.closing = CloseState::Wanted(code);
        }
    }

    /// Whether a close frame was written.
    pub(crate) fn has_closed(&self) -> bool {
        self.closing == CloseState::Sent
    }

    /// Releases the wire and drops what is unwritten. Returns whether the wire was still there.
    pub(crate) fn kill(&mut self) -> bool {
        self.closing = CloseState::Sent;
        self.wire.take().is_some()
    }

    /// Releases the wire, and returns it if a close frame was written on it.
    pub(crate) fn take_for_linger(&mut self) -> Option<Wire> {
        let lingers = self.closing == CloseState::Sent && self.ours.is_empty();
        self.wire.take().filter(|_| lingers)
    }

    /// Writes the engine's bytes, after everything that comes before them.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        buf: &[u8],
        read: &mut ReadHalf,
        flow: &FlowControl,
        ping_timeout: Duration,
    ) -> Poll<io::Result<usize>> {
        let result = self.poll_write_engine(cx, buf, read, flow, ping_timeout);
        self.engine_waits = result.is_pending();
        result
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = self.poll_flush_all(cx);
        self.engine_waits = result.is_pending();
        result
    }

    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.get()?.poll_shutdown(cx)
    }

    /// Finishes a direct write.
    pub(crate) fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = self.poll_flush_all(cx);
        self.is_finishing = result.is_pending();
        result
    }

    /// Whether a direct write may start now: between two packets of the engine, with nothing else waiting.
    pub(crate) fn is_open_for_direct(&self, read: &ReadHalf) -> bool {
        let is_between =
            self.engine.is_between_packets() && self.wire.rest_bytes() == 0 && self.ours.is_empty();
        let is_engine_ready = self.swallow == 0 && !self.opens && !self.engine_waits;
        let is_closing = self.closing != CloseState::No
            || self.engine.closes()
            || read.fault().is_some()
            || read.is_closing();
        is_between && is_engine_ready && !self.is_finishing && !is_closing
    }

    /// Starts a direct write: writes without waiting.
    pub(crate) fn write_now(
        &mut self,
        frames: Bytes,
        waker: impl Fn() -> Waker,
        flow: &FlowControl,
    ) -> io::Result<DirectWrite> {
        let is_all = match self.wire.write_now(frames, &waker) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Ok(DirectWrite::Nothing);
            }
            is_all => is_all?,
        };
        if !is_all {
            // Counted like an emitted packet, so that later messages wait for it.
            self.rest_counted = self.wire.rest_bytes();
            flow.emitted(self.rest_counted);
        } else if self.wire.get()?.flush_now(&waker)? {
            return Ok(DirectWrite::All);
        }
        self.is_finishing = true;
        Ok(DirectWrite::Part)
    }

    /// Writes our own frames, and a requested close frame once it may be written.
    pub(crate) fn write_ours(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.write_rest(cx))?;
        if let CloseState::Wanted(code) = self.closing
            && self.engine.at_boundary()
        {
            self.ours = Bytes::copy_from_slice(&code.frame());
            self.closing = CloseState::Sent;
        }
        self.wire.poll_write_all(cx, &mut self.ours)
    }

    /// Writes the rest of a direct write, if there is one.
    fn write_rest(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.wire.rest_bytes() > 0 {
            ready!(self.wire.poll_rest(cx))?;
            self.sent.frames += 1;
            self.sent.feed_packets += 1;
            self.sent.feed_bytes += std::mem::take(&mut self.rest_counted);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_engine(
        &mut self,
        cx: &mut Context<'_>,
        buf: &[u8],
        read: &mut ReadHalf,
        flow: &FlowControl,
        ping_timeout: Duration,
    ) -> Poll<io::Result<usize>> {
        if self.swallow > 0 {
            let swallowed = self.swallow.min(buf.len());
            self.swallow -= swallowed;
            return Poll::Ready(Ok(swallowed));
        }
        ready!(self.write_ours(cx))?;
        if self.closing == CloseState::Sent {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if std::mem::take(&mut self.opens) {
            // It is written by the flush that follows.
            self.ours = open_frame(buf, ping_timeout);
            return Poll::Ready(Ok(buf.len()));
        }
        let is_close_wanted = matches!(self.closing, CloseState::Wanted(_));
        let plain = match self.engine.next_intercepted(buf, is_close_wanted, read) {
            (0, Intercepted::Ping) => {
                read.first_ping_was_swallowed();
                return Poll::Ready(Ok(PING.len()));
            }
            (0, Intercepted::Close) => {
                self.ours = Bytes::copy_from_slice(&self.close_code(read).frame());
                self.closing = CloseState::Sent;
                ready!(self.write_ours(cx))?;
                return Poll::Ready(Ok(buf.len()));
            }
            (plain, _) => plain,
        };
        let written = ready!(self.wire.poll_write(cx, &buf[..plain]))?;
        self.engine.pass(&buf[..written], flow, &mut self.sent);
        Poll::Ready(Ok(written))
    }

    fn poll_flush_all(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.write_ours(cx))?;
        self.wire.get()?.poll_flush(cx)
    }

    /// The code for the engine's close frame, which has none. The engine sends a close packet first when it does not
    /// accept something, and none when it cannot parse a frame.
    fn close_code(&self, read: &ReadHalf) -> CloseCode {
        match read.fault() {
            Some(code) => code,
            None if self.engine.closes() => CloseCode::Policy,
            None => CloseCode::NotUnderstood,
        }
    }
}

/// Whether a close frame was requested or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CloseState {
    No,
    /// Requested: it is written at the next frame boundary.
    Wanted(CloseCode),
    /// Written: nothing may follow it.
    Sent,
}

/// The result of a direct write.
pub(crate) enum DirectWrite {
    Nothing,
    /// The rest must be finished.
    Part,
    All,
}
