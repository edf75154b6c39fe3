//! The handle that we keep of a WebSocket while the engine reads and writes it.
//!
//! The engine owns a [`Guarded`](super::guarded::Guarded) and knows no better than that it is a
//! stream. Here is what it does not do itself: count what the kernel took, cut off a client that
//! takes nothing, close with a code, hold back reading, and let go of the socket at once. And here the
//! feed's frames go past it, each between two of its own.
//!
//! The [`read_half`] is what comes from the client, the [`write_half`] what goes to it and in which order, and
//! the [`engine_output`] tells where in the engine's bytes something of ours may stand.

mod engine_output;
mod read_half;
mod write_half;

use std::{
    future::poll_fn,
    io,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use tokio::io::ReadBuf;

use super::{
    farewell::Farewell, flow::Flow, frame::CloseCode, stall::Stall, wire::Wire, writers::Writers,
};
use read_half::ReadHalf;
use write_half::{WriteHalf, Written};

/// One WebSocket.
#[derive(Debug)]
pub(super) struct Conn {
    state: Mutex<State>,
    flow: Arc<Flow>,
    writers: Arc<Writers>,
    pub(super) write_stall: Duration,
}

/// Both halves are behind one lock: what is read decides what may be written.
#[derive(Debug)]
struct State {
    read: ReadHalf,
    write: WriteHalf,
}

impl Conn {
    pub(super) fn new(wire: Wire, early: Bytes, flow: Arc<Flow>, write_stall: Duration) -> Self {
        let state = State {
            read: ReadHalf::new(early),
            write: WriteHalf::new(wire),
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
        self.lock().write.swallow(bytes);
        self
    }

    /// For a session whose first ping has been dealt with before.
    pub(super) fn without_first_ping(self) -> Self {
        self.lock().read.without_first_ping();
        self
    }

    /// Closes with a code at the next frame boundary, then waits a little for the client's answer.
    pub(super) fn close(&self, code: CloseCode) {
        let mut state = self.lock();
        state.write.want_close(code);
        // Try now: a connection at rest has nobody who would write.
        let _: Poll<io::Result<()>> = self.write(state, |state, cx| state.write.write_ours(cx));
        self.wake();
    }

    /// Cuts the connection now: the descriptor is free when this returns. Whether it was there.
    pub(super) fn kill(&self) -> bool {
        let was_alive = self.lock().write.kill();
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
        self.lock().read.wake();
    }

    /// Takes the wire for a last, lingering read, if a close frame went out on it.
    pub(super) fn take_for_linger(&self) -> Option<Wire> {
        self.lock().write.take_for_linger()
    }

    /// Whether a close frame is out and only the client's answer is missing.
    pub(super) fn is_closing(&self) -> bool {
        self.lock().write.has_closed()
    }

    pub(super) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        let State { read, write } = &mut *state;
        read.reader_waits(cx);
        if self.flow.is_reading_paused() && !write.has_closed() {
            return Poll::Pending;
        }
        read.poll_read(cx, buf, write.wire())
    }

    pub(super) fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.writers.engine_waits(cx);
        self.write(self.lock(), |State { read, write }, cx| {
            write.poll_write(cx, buf, read, &self.flow)
        })
    }

    pub(super) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writers.engine_waits(cx);
        self.write(self.lock(), |state, cx| state.write.poll_flush(cx))
    }

    pub(super) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writers.engine_waits(cx);
        self.write(self.lock(), |state, cx| state.write.poll_shutdown(cx))
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
        if !state.write.is_open_for_direct(&state.read) || !is_clear(&self.flow) {
            return false;
        }
        let waker = || Waker::from(Arc::clone(&self.writers));
        let written = state.write.write_now(frames(), waker, &self.flow);
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
        self.write(self.lock(), |state, cx| state.write.poll_finish(cx))
    }

    /// How many bytes the wire has taken.
    pub(super) fn taken(&self) -> u64 {
        self.lock().write.taken()
    }

    /// Does something with the wire's writing side, and tells what it completed.
    fn write<T>(
        &self,
        mut state: MutexGuard<'_, State>,
        act: impl FnOnce(&mut State, &mut Context<'_>) -> T,
    ) -> T {
        let waker = Waker::from(Arc::clone(&self.writers));
        let result = act(&mut state, &mut Context::from_waker(&waker));
        let sent = state.write.take_sent();
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
