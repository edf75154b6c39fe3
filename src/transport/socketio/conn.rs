//! The handle that we keep of a WebSocket while the engine reads and writes it.
//!
//! The engine owns a [`Guarded`](super::guarded::Guarded) and knows no better than that it is a
//! stream. Here is what it does not do itself: count what the kernel took, cut off a client that
//! takes nothing, close with a code, hold back reading, and let go of the socket at once.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    engine::with_our_limit,
    flow::Flow,
    frame::{self, CloseCode, Inbound, Outbound},
    limits::READ_BYTES,
    wire::Wire,
};

/// The engine's ping, as a whole frame.
const PING: &[u8] = &[0x81, 1, b'2'];
/// A client's answer to it, masked with zeros.
const PONG: &[u8] = &[0x81, 0x81, 0, 0, 0, 0, b'3'];
/// The engine's close packet, which precedes its own close frames.
const ENGINE_CLOSE: &[u8] = b"1";

/// Packets of the feed: events and acks. These were counted when they were emitted.
const FEED_EVENT: &[u8] = b"42/feed,";
const FEED_ACK: &[u8] = b"43/feed,";

/// The engine pings as soon as a session opens, and stock servers do after the first interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FirstPing {
    /// Not seen yet: it will be swallowed.
    Expected,
    /// Swallowed: the engine is owed a pong.
    Owed,
    Done,
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

/// One WebSocket.
#[derive(Debug)]
pub(super) struct Conn {
    state: Mutex<State>,
    flow: Arc<Flow>,
    pub(super) write_stall: Duration,
}

#[derive(Debug)]
pub(super) struct State {
    /// `None` once the connection is dead: the descriptor is free although handles remain.
    wire: Option<Wire>,
    /// To be read before what comes from the wire.
    early: Bytes,
    /// Bytes of ours to be written before what comes from the engine.
    ours: Bytes,
    /// Bytes that the engine writes and the client must not see.
    swallow: usize,
    inbound: Inbound,
    outbound: Outbound,
    first_ping: FirstPing,
    /// Whether the engine's open packet is still to come.
    opens: bool,
    closing: Closing,
    fault: Option<CloseCode>,
    engine_closes: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Conn {
    pub(super) fn new(wire: Wire, early: Bytes, flow: Arc<Flow>, write_stall: Duration) -> Self {
        let state = State {
            wire: Some(wire),
            early,
            ours: Bytes::new(),
            swallow: 0,
            inbound: Inbound::default(),
            outbound: Outbound::default(),
            first_ping: FirstPing::Expected,
            opens: true,
            closing: Closing::No,
            fault: None,
            engine_closes: false,
            reader: None,
            writer: None,
        };
        Self {
            state: Mutex::new(state),
            flow,
            write_stall,
        }
    }

    /// For an upgrade, which opens nothing and whose probe we have answered: the engine's own answer
    /// stays inside.
    pub(super) fn swallow(self, bytes: usize) -> Self {
        {
            let mut state = self.lock();
            state.swallow = bytes;
            state.opens = false;
        }
        self
    }

    /// For a session whose first ping has been dealt with before.
    pub(super) fn without_first_ping(self) -> Self {
        self.lock().first_ping = FirstPing::Done;
        self
    }

    /// Closes with a code at the next frame boundary, then waits a little for the client's answer.
    pub(super) fn close(&self, code: CloseCode) {
        let mut state = self.lock();
        if state.closing == Closing::No {
            state.closing = Closing::Wanted(code);
        }
        // Try now: a connection at rest has nobody who would write. If the wire takes nothing, the
        // waker that this leaves in it is nobody's, so the engine's writer is woken to try again.
        let _: Poll<io::Result<()>> = state.write_ours(&mut Context::from_waker(Waker::noop()));
        state.wake();
    }

    /// Cuts the connection now: the descriptor is free when this returns.
    pub(super) fn kill(&self) {
        {
            let mut state = self.lock();
            state.wire = None;
            state.closing = Closing::Sent;
            state.wake();
        }
        self.flow.end();
    }

    /// Lets the reader look again, after requests were answered.
    pub(super) fn wake_reader(&self) {
        if let Some(waker) = self.lock().reader.take() {
            waker.wake();
        }
    }

    /// Takes the wire for a last, lingering read, if a close frame went out on it.
    pub(super) fn take_for_linger(&self) -> Option<Wire> {
        let mut state = self.lock();
        let lingers = state.closing == Closing::Sent && state.ours.is_empty();
        state.wire.take().filter(|_| lingers)
    }

    /// Whether a close frame is out and only the client's answer is missing.
    pub(super) fn is_closing(&self) -> bool {
        self.lock().closing == Closing::Sent
    }

    pub(super) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        keep(&mut state.reader, cx);
        if self.flow.is_reading_paused() && state.closing != Closing::Sent {
            return Poll::Pending;
        }
        state.poll_read(cx, buf)
    }

    pub(super) fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.lock();
        keep(&mut state.writer, cx);
        let mut sent = Sent::default();
        let result = state.poll_write(cx, buf, &mut sent);
        drop(state);
        if sent.frames > 0 {
            self.flow.sent(sent.feed_packets, sent.feed_bytes);
        }
        result
    }

    pub(super) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        keep(&mut state.writer, cx);
        match state.write_ours(cx) {
            Poll::Ready(Ok(())) => state.wire_do(|wire| wire.poll_flush(cx)),
            other => other,
        }
    }

    pub(super) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        keep(&mut state.writer, cx);
        state.wire_do(|wire| wire.poll_shutdown(cx))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no code panics while it holds a connection")
    }
}

impl State {
    fn wake(&mut self) {
        for waker in [self.reader.take(), self.writer.take()]
            .into_iter()
            .flatten()
        {
            waker.wake();
        }
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

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
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
            let Some(wire) = &mut self.wire else {
                return Poll::Ready(Ok(()));
            };
            std::task::ready!(Pin::new(wire).poll_read(cx, buf))?;
        }
        let verdict = self.inbound.take(&buf.filled()[before..]);
        Poll::Ready(verdict.map_err(|code| {
            self.fault = Some(code);
            io::Error::new(
                io::ErrorKind::InvalidData,
                "the client broke the WebSocket protocol",
            )
        }))
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        buf: &[u8],
        sent: &mut Sent,
    ) -> Poll<io::Result<usize>> {
        if self.swallow > 0 {
            let swallowed = self.swallow.min(buf.len());
            self.swallow -= swallowed;
            return Poll::Ready(Ok(swallowed));
        }
        std::task::ready!(self.write_ours(cx))?;
        if self.closing == Closing::Sent {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if std::mem::take(&mut self.opens) {
            // It goes out with the flush that follows.
            self.ours = open_frame(buf);
            return Poll::Ready(Ok(buf.len()));
        }
        let plain = match self.next_special(buf) {
            (0, Special::Ping) => {
                self.first_ping = FirstPing::Owed;
                if let Some(waker) = self.reader.take() {
                    waker.wake();
                }
                return Poll::Ready(Ok(PING.len()));
            }
            (0, Special::Close) => {
                self.ours = Bytes::copy_from_slice(&self.close_code().frame());
                self.closing = Closing::Sent;
                std::task::ready!(self.write_ours(cx))?;
                return Poll::Ready(Ok(buf.len()));
            }
            (plain, _) => plain,
        };
        let written = std::task::ready!(self.wire_do(|wire| wire.poll_write(cx, &buf[..plain])))?;
        if written == 0 && plain > 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.note_written(&buf[..written], sent);
        Poll::Ready(Ok(written))
    }

    /// Writes what is ours to write, and a wanted close frame as soon as it may go out.
    fn write_ours(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Closing::Wanted(code) = self.closing
            && self.outbound.at_boundary()
        {
            self.ours = Bytes::copy_from_slice(&code.frame());
            self.closing = Closing::Sent;
        }
        while self.ours.has_remaining() {
            let ours = self.ours.clone();
            let written = std::task::ready!(self.wire_do(|wire| wire.poll_write(cx, &ours)))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.ours.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    fn note_written(&mut self, mut bytes: &[u8], sent: &mut Sent) {
        while !bytes.is_empty() {
            let (used, passed) = self.outbound.step(bytes);
            bytes = &bytes[used..];
            let Some(passed) = passed else { continue };
            sent.frames += 1;
            match passed.start() {
                FEED_EVENT | FEED_ACK => {
                    sent.feed_packets += 1;
                    sent.feed_bytes += usize::try_from(passed.payload_bytes).unwrap_or(usize::MAX);
                }
                ENGINE_CLOSE => self.engine_closes = true,
                _ => {}
            }
        }
    }

    /// How many of the engine's bytes may be written as they are, and what stands after them. The
    /// engine's writer holds whole frames, so a frame that begins in `bytes` also ends there.
    fn next_special(&self, bytes: &[u8]) -> (usize, Special) {
        let mut at = self.outbound.until_boundary(bytes);
        if self.outbound.at_boundary() {
            at = 0;
        }
        if matches!(self.closing, Closing::Wanted(_)) {
            return (at, Special::None);
        }
        while let Some(header) = bytes.get(at..at + 2) {
            // A client that closes gets its own code back, as it should.
            if header == [0x80 | frame::CLOSE, 0] && !self.inbound.is_closing() {
                return (at, Special::Close);
            }
            if self.first_ping == FirstPing::Expected && bytes[at..].starts_with(PING) {
                return (at, Special::Ping);
            }
            let ahead = Outbound::default().until_boundary(&bytes[at..]);
            at += ahead;
        }
        (bytes.len(), Special::None)
    }

    /// Which code the engine's bare close frame gets. It closes after a close packet of its own
    /// for what it does not accept, and without one when it cannot understand a frame.
    fn close_code(&self) -> CloseCode {
        match self.fault {
            Some(code) => code,
            None if self.engine_closes => CloseCode::Policy,
            None => CloseCode::NotUnderstood,
        }
    }
}

/// What one write completed.
#[derive(Default)]
struct Sent {
    frames: usize,
    feed_packets: usize,
    feed_bytes: usize,
}

/// A frame of the engine's that the client does not get as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Special {
    Ping,
    Close,
    None,
}

/// The engine's open packet in a frame, which is the first that it writes and all that it writes at
/// once, with our own limit in it.
fn open_frame(frame: &[u8]) -> Bytes {
    let open = with_our_limit(frame.get(2..).unwrap_or_default());
    let length = u8::try_from(open.len())
        .ok()
        .filter(|length| *length <= 125);
    match length {
        Some(length) => [&[0x81, length], open.as_ref()].concat().into(),
        None => Bytes::copy_from_slice(frame),
    }
}

fn keep(place: &mut Option<Waker>, cx: &Context<'_>) {
    match place {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *place = Some(cx.waker().clone()),
    }
}
