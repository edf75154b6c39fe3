//! Our handle to a WebSocket that the engine reads and writes as a stream.
//!
//! It does what the engine does not: it counts what the kernel has taken, cuts a client that takes nothing, closes with
//! a code, pauses reading, releases the socket at once, and writes the feed's frames between two of the engine's
//! packets.
//!
//! [`read`] is the client's side, [`write`] is the order of writes, and [`engine_output`] finds the boundaries in the
//! engine's bytes. [`flow_control`] counts what is under way.
//!
//! It is not one type with `wire::SharedWire`, though both accept direct writes: here two tasks that are not ours write
//! too, and our frames go between the engine's bytes. There, only a task of our own writes.

mod boundary;
mod engine_output;
mod flow_control;
mod read;
mod wait;
mod wakers;
mod write;

use std::{
    future::poll_fn,
    io,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use tokio::{io::ReadBuf, time::Instant};

pub(super) use flow_control::{FlowControl, Gone, Reading};
pub(super) use wait::wait_until;

use self::{
    read::ReadHalf,
    wakers::WakerPair,
    write::{DirectWrite, WriteHalf},
};
use crate::transport::{
    follow::CloseReason,
    limits::Timing,
    websocket::CloseCode,
    wire::{Wire, WriteStall},
};

/// One WebSocket of an Engine.IO session.
#[derive(Debug)]
pub(crate) struct EngineConnection {
    halves: Mutex<Halves>,
    flow: Arc<FlowControl>,
    wakers: Arc<WakerPair>,
    ping_timeout: Duration,
    write_stall: Duration,
}

/// Both halves share one lock, because what is read decides what may be written.
#[derive(Debug)]
struct Halves {
    read: ReadHalf,
    write: WriteHalf,
}

impl EngineConnection {
    pub(crate) fn new(wire: Wire, early: Bytes, flow: Arc<FlowControl>, timing: Timing) -> Self {
        let halves = Halves {
            read: ReadHalf::new(early),
            write: WriteHalf::new(wire),
        };
        Self {
            halves: Mutex::new(halves),
            flow,
            wakers: Arc::default(),
            ping_timeout: timing.ping_timeout,
            write_stall: timing.write_stall,
        }
    }

    /// For an upgrade: we have already answered the probe, so the engine's answer of `bytes` is swallowed.
    pub(crate) fn swallow(self, bytes: usize) -> Self {
        self.lock().write.swallow(bytes);
        self
    }

    /// For a session whose first ping was already handled.
    pub(crate) fn without_first_ping(self) -> Self {
        self.lock().read.without_first_ping();
        self
    }

    /// Closes with a code at the next frame boundary. The client then has `CLOSE_GRACE` to answer.
    pub(crate) fn close(&self, code: CloseCode) {
        let mut halves = self.lock();
        halves.write.want_close(code);
        // Written now if possible, since on an idle connection no other write follows.
        let _: Poll<io::Result<()>> = self.write(halves, |halves, cx| halves.write.write_ours(cx));
        self.wake();
    }

    /// Closes because the client has not answered a ping.
    pub(crate) fn close_unanswered(&self) {
        self.lock().read.forget_ping();
        self.close(CloseCode::Policy);
    }

    /// Cuts the connection: the descriptor is free when this returns. Returns whether it was still open.
    pub(crate) fn kill(&self) -> bool {
        let was_alive = self.lock().write.kill();
        self.wake();
        self.flow.end();
        was_alive
    }

    /// Cuts the connection after a write that failed or timed out, here or in a stream below with a timeout of its
    /// own.
    pub(crate) fn cut(&self, why: io::ErrorKind) {
        if self.kill() && why == io::ErrorKind::TimedOut {
            tracing::debug!("a client took nothing for too long: its connection is cut");
            metrics::counter!("tallycast_socketio_closed_total", "code" => CloseReason::Slow.code())
                .increment(1);
        }
    }

    /// Wakes the reading task, after requests were answered.
    pub(crate) fn wake_reader(&self) {
        self.lock().read.wake();
    }

    /// Releases the wire, and returns it for lingering if a close frame was written on it.
    pub(crate) fn take_for_linger(&self) -> Option<Wire> {
        self.lock().write.take_for_linger()
    }

    /// Whether a close frame was written, and only the client's answer is missing.
    pub(crate) fn is_closing(&self) -> bool {
        self.lock().write.has_closed()
    }

    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        now: Instant,
    ) -> Poll<io::Result<()>> {
        let mut halves = self.lock();
        let Halves { read, write } = &mut *halves;
        read.register_reader(cx);
        let is_open = self.flow.reading(now) == Reading::Open && !read.owes_pong();
        if !is_open && !write.has_closed() {
            // A client whose frames nobody reads cannot show that it is there.
            read.forget_ping();
            return Poll::Pending;
        }
        read.poll_read(cx, buf, write.wire(), &self.flow)
    }

    /// When the client has to show that it is there; `None` if no ping waits for that.
    pub(crate) fn answer_due_at(&self) -> Option<Instant> {
        let ping_at = self.lock().read.ping_at();
        ping_at.map(|at| at + self.ping_timeout)
    }

    /// When reading resumes, if it is paused at `now` and no event ends that.
    pub(crate) fn reading_resumes_at(&self, now: Instant) -> Option<Instant> {
        match self.flow.reading(now) {
            Reading::PausedUntil(end) => Some(end),
            Reading::Open | Reading::Paused => None,
        }
    }

    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.wakers.engine_waits(cx);
        self.write(self.lock(), |Halves { read, write }, cx| {
            write.poll_write(cx, buf, read, &self.flow, self.ping_timeout)
        })
    }

    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wakers.engine_waits(cx);
        self.write(self.lock(), |halves, cx| halves.write.poll_flush(cx))
    }

    pub(crate) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wakers.engine_waits(cx);
        self.write(self.lock(), |halves, cx| halves.write.poll_shutdown(cx))
    }

    /// Writes frames without the engine, if nothing is in the way and the wire takes at least one byte. Returns whether
    /// it did. The rest is finished by a task or by the engine's next write, or the connection is cut.
    pub(crate) fn write_direct(
        self: &Arc<Self>,
        is_clear: impl FnOnce(&FlowControl) -> bool,
        frames: impl FnOnce() -> Bytes,
    ) -> bool {
        let mut halves = self.lock();
        // `is_clear` is called under this lock, as are the changes that would make it false.
        if !halves.write.is_open_for_direct(&halves.read) || !is_clear(&self.flow) {
            return false;
        }
        let waker = || Waker::from(Arc::clone(&self.wakers));
        let written = halves.write.write_now(frames(), waker, &self.flow);
        drop(halves);
        match written {
            Ok(DirectWrite::Nothing) => false,
            Ok(DirectWrite::All) => true,
            Ok(DirectWrite::Part) => {
                // Detached, but bounded: one per connection, which ends with it or after the write stall.
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
        self.wakers.finisher_waits(cx);
        self.write(self.lock(), |halves, cx| halves.write.poll_finish(cx))
    }

    /// The write stall for one of the tasks that write to it.
    pub(crate) fn new_stall(&self) -> WriteStall {
        WriteStall::new(self.write_stall)
    }

    /// The number of bytes that the wire has taken.
    pub(crate) fn taken(&self) -> u64 {
        self.lock().write.taken()
    }

    /// Uses the writing half, and reports what it completed to flow control.
    fn write<T>(
        &self,
        mut halves: MutexGuard<'_, Halves>,
        act: impl FnOnce(&mut Halves, &mut Context<'_>) -> T,
    ) -> T {
        let waker = Waker::from(Arc::clone(&self.wakers));
        let result = act(&mut halves, &mut Context::from_waker(&waker));
        let sent = halves.write.take_sent();
        halves.read.sent(sent.pongs);
        if sent.pings > 0 {
            halves.read.ping_was_sent();
        }
        drop(halves);
        if sent.frames > 0 {
            self.flow.sent(sent.feed_packets, sent.feed_bytes);
        }
        result
    }

    fn wake(&self) {
        self.wake_reader();
        self.wakers.wake_all();
    }

    fn lock(&self) -> MutexGuard<'_, Halves> {
        self.halves
            .lock()
            .expect("no code panics while it holds a connection")
    }
}

/// Finishes a direct write, or cuts a client that takes nothing.
async fn finish(connection: Arc<EngineConnection>) {
    let mut stall = connection.new_stall();
    let finished = poll_fn(|cx| {
        let result = connection.poll_finish(cx);
        stall.check(cx, result, connection.taken())
    });
    if let Err(error) = finished.await {
        connection.cut(error.kind());
    }
}
