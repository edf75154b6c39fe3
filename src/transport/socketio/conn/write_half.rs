//! What is written to a client, and in which order: first the rest of a direct write, then what is ours, then
//! what the engine writes.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use tokio::io::AsyncWrite;

use super::{
    super::{direct_wire::DirectWire, flow::Flow, frame::CloseCode, wire::Wire},
    engine_output::{EngineOutput, PING, Sent, Special, open_frame},
    read_half::ReadHalf,
};

/// The writing half of a WebSocket. It holds the wire, which the reading half borrows.
#[derive(Debug)]
pub(super) struct WriteHalf {
    wire: DirectWire,
    /// What is counted for the rest of a direct write until all of it is written.
    rest_counted: usize,
    /// Whether a task is finishing what a direct write could not.
    is_finishing: bool,
    /// Bytes of ours to be written before what comes from the engine.
    ours: Bytes,
    /// Whether the engine has more to write than the wire took: it comes first, its pings among it.
    engine_waits: bool,
    /// Bytes that the engine writes and the client must not see.
    swallow: usize,
    /// Whether the engine's open packet is still to come.
    opens: bool,
    engine: EngineOutput,
    closing: Closing,
    sent: Sent,
}

impl WriteHalf {
    pub(super) fn new(wire: Wire) -> Self {
        Self {
            wire: DirectWire::new(wire),
            rest_counted: 0,
            is_finishing: false,
            ours: Bytes::new(),
            engine_waits: false,
            swallow: 0,
            opens: true,
            engine: EngineOutput::default(),
            closing: Closing::No,
            sent: Sent::default(),
        }
    }

    /// For a connection that the engine opens with so many bytes that the client must not see.
    pub(super) fn swallow(&mut self, bytes: usize) {
        self.swallow = bytes;
        self.opens = false;
    }

    pub(super) fn wire(&mut self) -> Option<Pin<&mut Wire>> {
        self.wire.get().ok()
    }

    /// How many bytes the wire has taken.
    pub(super) fn taken(&self) -> u64 {
        self.wire.taken()
    }

    /// What writes have completed since this was asked last.
    pub(super) fn take_sent(&mut self) -> Sent {
        std::mem::take(&mut self.sent)
    }

    /// A close frame with this code goes out as soon as one may.
    pub(super) fn want_close(&mut self, code: CloseCode) {
        if self.closing == Closing::No {
            self.closing = Closing::Wanted(code);
        }
    }

    /// Whether a close frame is out.
    pub(super) fn has_closed(&self) -> bool {
        self.closing == Closing::Sent
    }

    /// Lets the wire go, with whatever is not written yet. Whether it was there.
    pub(super) fn kill(&mut self) -> bool {
        self.closing = Closing::Sent;
        self.wire.take().is_some()
    }

    /// Lets the wire go, and hands it out if a close frame went out on it.
    pub(super) fn take_for_linger(&mut self) -> Option<Wire> {
        let lingers = self.closing == Closing::Sent && self.ours.is_empty();
        self.wire.take().filter(|_| lingers)
    }

    /// Writes what the engine has, behind what comes before it.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        buf: &[u8],
        read: &mut ReadHalf,
        flow: &Flow,
    ) -> Poll<io::Result<usize>> {
        let result = self.poll_write_engine(cx, buf, read, flow);
        self.engine_waits = result.is_pending();
        result
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = self.poll_flush_all(cx);
        self.engine_waits = result.is_pending();
        result
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.get()?.poll_shutdown(cx)
    }

    /// Finishes what a direct write could not.
    pub(super) fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = self.poll_flush_all(cx);
        self.is_finishing = result.is_pending();
        result
    }

    /// Whether a frame of the feed's may be put here: between two packets of the engine's, and in nobody's
    /// way.
    pub(super) fn is_open_for_direct(&self, read: &ReadHalf) -> bool {
        let is_between =
            self.engine.is_between_packets() && self.wire.rest_bytes() == 0 && self.ours.is_empty();
        let is_engine_ready = self.swallow == 0 && !self.opens && !self.engine_waits;
        let is_closing = self.closing != Closing::No
            || self.engine.closes()
            || read.fault().is_some()
            || read.is_closing();
        is_between && is_engine_ready && !self.is_finishing && !is_closing
    }

    /// Writes frames of the feed's there, as far as the wire takes them at once.
    pub(super) fn write_now(
        &mut self,
        frames: Bytes,
        waker: impl Fn() -> Waker,
        flow: &Flow,
    ) -> io::Result<Written> {
        let is_all = match self.wire.write_now(frames, &waker) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Written::Nothing),
            is_all => is_all?,
        };
        if !is_all {
            // As if the engine had it: what comes after waits for it.
            self.rest_counted = self.wire.rest_bytes();
            flow.emitted(self.rest_counted);
        } else if self.wire.get()?.flush_now(&waker)? {
            return Ok(Written::All);
        }
        self.is_finishing = true;
        Ok(Written::Some)
    }

    /// Writes what is ours to write, and a wanted close frame as soon as it may go out.
    pub(super) fn write_ours(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.write_rest(cx))?;
        if let Closing::Wanted(code) = self.closing
            && self.engine.at_boundary()
        {
            self.ours = Bytes::copy_from_slice(&code.frame());
            self.closing = Closing::Sent;
        }
        self.wire.poll_write_all(cx, &mut self.ours)
    }

    /// Ends the direct write that was begun, if one was.
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
        flow: &Flow,
    ) -> Poll<io::Result<usize>> {
        if self.swallow > 0 {
            let swallowed = self.swallow.min(buf.len());
            self.swallow -= swallowed;
            return Poll::Ready(Ok(swallowed));
        }
        ready!(self.write_ours(cx))?;
        if self.closing == Closing::Sent {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if std::mem::take(&mut self.opens) {
            // It goes out with the flush that follows.
            self.ours = open_frame(buf);
            return Poll::Ready(Ok(buf.len()));
        }
        let is_close_wanted = matches!(self.closing, Closing::Wanted(_));
        let plain = match self.engine.next_special(buf, is_close_wanted, read) {
            (0, Special::Ping) => {
                read.owe_pong();
                return Poll::Ready(Ok(PING.len()));
            }
            (0, Special::Close) => {
                self.ours = Bytes::copy_from_slice(&self.close_code(read).frame());
                self.closing = Closing::Sent;
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

    /// Which code the engine's bare close frame gets. It closes after a close packet of its own
    /// for what it does not accept, and without one when it cannot understand a frame.
    fn close_code(&self, read: &ReadHalf) -> CloseCode {
        match read.fault() {
            Some(code) => code,
            None if self.engine.closes() => CloseCode::Policy,
            None => CloseCode::NotUnderstood,
        }
    }
}

/// Where the connection stands with closing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closing {
    No,
    /// A close frame goes out at the next frame boundary.
    Wanted(CloseCode),
    /// It is out: nothing may follow it.
    Sent,
}

/// What became of a direct write.
pub(super) enum Written {
    Nothing,
    /// The rest of it waits.
    Some,
    All,
}
