//! The handle that we keep of a WebSocket while the engine reads and writes it.
//!
//! The engine owns a [`Guarded`](super::guarded::Guarded) and knows no better than that it is a
//! stream. Here is what it does not do itself: count what the kernel took, cut off a client that
//! takes nothing, close with a code, hold back reading, and let go of the socket at once. And here the
//! feed's frames go past it, each between two of its own.

use std::{
    future::poll_fn,
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
    farewell::Farewell,
    flow::Flow,
    frame::{self, CloseCode, Inbound, Outbound},
    limits::READ_BYTES,
    packet::Packet,
    seam::Seam,
    stall::Stall,
    wire::Wire,
    writers::{Writers, keep},
};

/// The engine's ping, as a whole frame.
const PING: &[u8] = &[0x81, 1, b'2'];
/// A client's answer to it, masked with zeros.
const PONG: &[u8] = &[0x81, 0x81, 0, 0, 0, 0, b'3'];

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
    writers: Arc<Writers>,
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
    /// What a direct write left over, which comes before anything else.
    rest: Bytes,
    /// What is counted for it until all of it is written.
    rest_counted: usize,
    /// Whether a task is finishing what a direct write could not.
    is_finishing: bool,
    /// Whether the engine has more to write than the wire took: it comes first, its pings among it.
    engine_waits: bool,
    /// All bytes that the wire took.
    taken: u64,
    sent: Sent,
    /// Bytes that the engine writes and the client must not see.
    swallow: usize,
    inbound: Inbound,
    outbound: Outbound,
    seam: Seam,
    first_ping: FirstPing,
    /// Whether the engine's open packet is still to come.
    opens: bool,
    closing: Closing,
    fault: Option<CloseCode>,
    engine_closes: bool,
    reader: Option<Waker>,
}

impl Conn {
    pub(super) fn new(wire: Wire, early: Bytes, flow: Arc<Flow>, write_stall: Duration) -> Self {
        let state = State {
            wire: Some(wire),
            early,
            ours: Bytes::new(),
            rest: Bytes::new(),
            rest_counted: 0,
            is_finishing: false,
            engine_waits: false,
            taken: 0,
            sent: Sent::default(),
            swallow: 0,
            inbound: Inbound::default(),
            outbound: Outbound::default(),
            seam: Seam::default(),
            first_ping: FirstPing::Expected,
            opens: true,
            closing: Closing::No,
            fault: None,
            engine_closes: false,
            reader: None,
        };
        Self {
            state: Mutex::new(state),
            flow,
            writers: Arc::default(),
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
        // Try now: a connection at rest has nobody who would write.
        let _: Poll<io::Result<()>> = self.write(state, State::write_ours);
        self.wake();
    }

    /// Cuts the connection now: the descriptor is free when this returns. Whether it was there.
    pub(super) fn kill(&self) -> bool {
        let was_alive = {
            let mut state = self.lock();
            state.closing = Closing::Sent;
            state.rest = Bytes::new();
            state.wire.take().is_some()
        };
        self.wake();
        self.flow.end();
        was_alive
    }

    /// Ends the connection after a write that failed, or took too long: here, or below, where the
    /// stream may keep a time of its own.
    pub(super) fn cut(&self, why: io::ErrorKind) {
        if self.kill() && why == io::ErrorKind::TimedOut {
            tracing::debug!("a client took nothing for too long: its connection is cut");
            metrics::counter!("tallycast_socketio_closed_total", "code" => Farewell::Slow.code())
                .increment(1);
        }
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
        self.writers.engine_waits(cx);
        self.write(self.lock(), |state, cx| {
            let result = state.poll_write(cx, buf, &self.flow);
            state.engine_waits = result.is_pending();
            result
        })
    }

    pub(super) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writers.engine_waits(cx);
        self.write(self.lock(), |state, cx| {
            let result = state.poll_flush(cx);
            state.engine_waits = result.is_pending();
            result
        })
    }

    pub(super) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writers.engine_waits(cx);
        self.write(self.lock(), |state, cx| {
            state.wire_do(|wire| wire.poll_shutdown(cx))
        })
    }

    /// Writes frames of the feed's past the engine, if nothing is in the way and the wire takes some of it at
    /// once: whether they are on their way. What it does not take yet is written by a task, or by the engine's
    /// next write, or the connection is cut.
    pub(super) fn write_direct(
        self: &Arc<Self>,
        is_clear: impl FnOnce(&Flow) -> bool,
        frames: impl FnOnce() -> Bytes,
    ) -> bool {
        let mut state = self.lock();
        // What closes the way to a feed socket does so while it holds this lock.
        if !state.is_open_for_direct() || !is_clear(&self.flow) {
            return false;
        }
        let waker = || Waker::from(Arc::clone(&self.writers));
        let written = state.write_now(frames(), waker, &self.flow);
        drop(state);
        match written {
            Ok(Written::Nothing) => false,
            Ok(Written::All) => true,
            Ok(Written::Some) => {
                tokio::spawn(finish(Arc::clone(self)));
                true
            }
            Err(error) => {
                self.cut(error.kind());
                false
            }
        }
    }

    fn poll_finish(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writers.finisher_waits(cx);
        self.write(self.lock(), |state, cx| {
            let result = state.poll_flush(cx);
            state.is_finishing = result.is_pending();
            result
        })
    }

    /// How many bytes the wire has taken.
    pub(super) fn taken(&self) -> u64 {
        self.lock().taken
    }

    /// Does something with the wire's writing side, and tells what it completed.
    fn write<T>(
        &self,
        mut state: MutexGuard<'_, State>,
        act: impl FnOnce(&mut State, &mut Context<'_>) -> T,
    ) -> T {
        let waker = Waker::from(Arc::clone(&self.writers));
        let result = act(&mut state, &mut Context::from_waker(&waker));
        let sent = std::mem::take(&mut state.sent);
        drop(state);
        if sent.frames > 0 {
            self.flow.sent(sent.feed_packets, sent.feed_bytes);
        }
        result
    }

    fn wake(&self) {
        self.wake_reader();
        self.writers.wake_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no code panics while it holds a connection")
    }
}

impl State {
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
        flow: &Flow,
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
        let written = std::task::ready!(self.poll_write_some(cx, &buf[..plain]))?;
        self.note_written(&buf[..written], flow);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.write_ours(cx))?;
        self.wire_do(|wire| wire.poll_flush(cx))
    }

    /// Whether a frame of the feed's may be put here: between two packets of the engine's, and in nobody's
    /// way.
    fn is_open_for_direct(&self) -> bool {
        let is_between = self.outbound.at_boundary()
            && self.seam.is_open()
            && self.rest.is_empty()
            && self.ours.is_empty();
        let is_engine_ready = self.swallow == 0 && !self.opens && !self.engine_waits;
        let is_closing = self.closing != Closing::No
            || self.engine_closes
            || self.fault.is_some()
            || self.inbound.is_closing();
        is_between && is_engine_ready && !self.is_finishing && !is_closing
    }

    fn write_now(
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

    fn poll_write_some(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = std::task::ready!(self.wire_do(|wire| wire.poll_write(cx, bytes)))?;
        if written == 0 && !bytes.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.taken += written as u64;
        Poll::Ready(Ok(written))
    }

    /// Ends the direct write that was begun, if one was.
    fn write_rest(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.rest.has_remaining() {
            let rest = self.rest.clone();
            let written = std::task::ready!(self.poll_write_some(cx, &rest))?;
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

    /// Writes what is ours to write, and a wanted close frame as soon as it may go out.
    fn write_ours(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.write_rest(cx))?;
        if let Closing::Wanted(code) = self.closing
            && self.outbound.at_boundary()
        {
            self.ours = Bytes::copy_from_slice(&code.frame());
            self.closing = Closing::Sent;
        }
        while self.ours.has_remaining() {
            let ours = self.ours.clone();
            let written = std::task::ready!(self.poll_write_some(cx, &ours))?;
            self.ours.advance(written);
        }
        // An empty slice would keep what it is of.
        self.ours = Bytes::new();
        Poll::Ready(Ok(()))
    }

    fn note_written(&mut self, mut bytes: &[u8], flow: &Flow) {
        while !bytes.is_empty() {
            let (used, passed) = self.outbound.step(bytes);
            bytes = &bytes[used..];
            let Some(passed) = passed else { continue };
            self.sent.frames += 1;
            let packet = Packet::of(passed.start());
            self.seam.pass(&passed, packet);
            match packet {
                Packet::Feed => {
                    self.sent.feed_packets += 1;
                    self.sent.feed_bytes +=
                        usize::try_from(passed.payload_bytes).unwrap_or(usize::MAX);
                }
                Packet::FeedPush => flow.pushes_gone(
                    1,
                    usize::try_from(passed.payload_bytes).unwrap_or(usize::MAX),
                ),
                Packet::FeedConnect => flow.let_in(),
                Packet::FeedDisconnect => flow.showed_out(),
                Packet::Close => self.engine_closes = true,
                Packet::Binary(_) | Packet::Other => {}
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

/// What became of a direct write.
enum Written {
    Nothing,
    /// The rest of it waits.
    Some,
    All,
}

/// What writes completed.
#[derive(Debug, Default)]
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

/// Finishes what a direct write could not, or cuts a client that takes nothing. One at a time for each
/// connection, and it ends with it.
async fn finish(conn: Arc<Conn>) {
    let mut stall = Stall::new(conn.write_stall, conn.taken());
    let finished = poll_fn(|cx| {
        if let Poll::Ready(finished) = conn.poll_finish(cx) {
            return Poll::Ready(finished);
        }
        let stalled = stall.poll(cx, conn.taken());
        stalled.map(|()| Err(io::ErrorKind::TimedOut.into()))
    });
    if let Err(error) = finished.await {
        conn.cut(error.kind());
    }
}
