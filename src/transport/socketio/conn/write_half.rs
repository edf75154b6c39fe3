//! What is written to a client, and in which order: first the rest of a direct write, then what is ours, then
//! what the engine writes.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

use super::{
    super::{flow::Flow, frame::CloseCode, wire::Wire},
    engine_output::{EngineOutput, PING, Sent, Special, open_frame},
    read_half::ReadHalf,
};

/// The writing half of a WebSocket. It holds the wire, which the reading half borrows.
#[derive(Debug)]
pub(super) struct WriteHalf {
    /// `None` once the connection is dead: the descriptor is free although handles remain.
    wire: Option<Wire>,
    /// What a direct write left over, which comes before anything else.
    rest: Bytes,
    /// What is counted for it until all of it is written.
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
    /// All bytes that the wire took.
    taken: u64,
    sent: Sent,
}

impl WriteHalf {
    pub(super) fn new(wire: Wire) -> Self {
        Self {
            wire: Some(wire),
            rest: Bytes::new(),
            rest_counted: 0,
            is_finishing: false,
            ours: Bytes::new(),
            engine_waits: false,
            swallow: 0,
            opens: true,
            engine: EngineOutput::default(),
            closing: Closing::No,
            taken: 0,
            sent: Sent::default(),
        }
    }

    /// For a connection that the engine opens with so many bytes that the client must not see.
    pub(super) fn swallow(&mut self, bytes: usize) {
        self.swallow = bytes;
        self.opens = false;
    }

    pub(super) fn wire(&mut self) -> Option<&mut Wire> {
        self.wire.as_mut()
    }

    /// How many bytes the wire has taken.
    pub(super) fn taken(&self) -> u64 {
        self.taken
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
        self.rest = Bytes::new();
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
        self.wire_do(|wire| wire.poll_shutdown(cx))
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
            self.engine.is_between_packets() && self.rest.is_empty() && self.ours.is_empty();
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
        mut frames: Bytes,
        waker: impl Fn() -> Waker,
        flow: &Flow,
    ) -> io::Result<Written> {
        let Some(wire) = &mut self.wire else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let written = match wire.write_now(&frames, &waker) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Written::Nothing),
            written => written?,
        };
        self.taken += written as u64;
        frames.advance(written);
        if frames.has_remaining() {
            // As if the engine had it: what comes after waits for it.
            flow.emitted(frames.len());
            self.rest_counted = frames.len();
            self.rest = frames;
        } else if wire.flush_now(&waker)? {
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
        while self.ours.has_remaining() {
            let ours = self.ours.clone();
            let written = ready!(self.poll_write_some(cx, &ours))?;
            self.ours.advance(written);
        }
        // An empty slice would keep what it is of.
        self.ours = Bytes::new();
        Poll::Ready(Ok(()))
    }

    /// Ends the direct write that was begun, if one was.
    fn write_rest(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.rest.has_remaining() {
            let rest = self.rest.clone();
            let written = ready!(self.poll_write_some(cx, &rest))?;
            self.rest.advance(written);
            if self.rest.is_empty() {
                self.rest = Bytes::new();
                self.sent.frames += 1;
                self.sent.feed_packets += 1;
                self.sent.feed_bytes += std::mem::take(&mut self.rest_counted);
            }
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
        let written = ready!(self.poll_write_some(cx, &buf[..plain]))?;
        self.engine.pass(&buf[..written], flow, &mut self.sent);
        Poll::Ready(Ok(written))
    }

    fn poll_flush_all(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.write_ours(cx))?;
        self.wire_do(|wire| wire.poll_flush(cx))
    }

    fn poll_write_some(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(self.wire_do(|wire| wire.poll_write(cx, bytes)))?;
        if written == 0 && !bytes.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.taken += written as u64;
        Poll::Ready(Ok(written))
    }

    fn wire_do<T>(
        &mut self,
        act: impl FnOnce(Pin<&mut Wire>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match &mut self.wire {
            Some(wire) => act(Pin::new(wire)),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
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
