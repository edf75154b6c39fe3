//! The wire of one WebSocket, which two write to: the socket's task, and whoever carries the feed's riders. They
//! never do so at the same time: a follower rides only while its task waits, and a task that waits has written all
//! that it began. What the wire does not take of a rider's frames at once the task finishes.

use std::{
    io,
    pin::Pin,
    sync::{Mutex, MutexGuard},
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::transport::wire::Wire;

/// One WebSocket's wire.
#[derive(Debug)]
pub(super) struct Conn {
    state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    /// `None` once it was taken for a last look.
    wire: Option<Wire>,
    /// What the wire has not taken of frames that were written past the task. It comes before anything else.
    rest: Bytes,
    /// Whether the wire keeps back something of them, as TLS may.
    is_unflushed: bool,
    /// All bytes that the wire took.
    taken: u64,
    /// The task, while it waits for the client.
    task: Option<Waker>,
}

impl Conn {
    pub(super) fn new(wire: Wire) -> Self {
        let state = State {
            wire: Some(wire),
            rest: Bytes::new(),
            is_unflushed: false,
            taken: 0,
            task: None,
        };
        Self {
            state: Mutex::new(state),
        }
    }

    /// Whether frames may be written past the task.
    pub(super) fn is_open(&self) -> bool {
        self.lock().is_open()
    }

    /// Writes frames past the task, if nothing is in the way and the wire takes some of it at once: whether they
    /// are on their way. It does not block.
    pub(super) fn write_direct(&self, frames: impl FnOnce() -> Bytes) -> bool {
        let mut state = self.lock();
        state.is_open() && state.write_direct(frames())
    }

    /// Drops what the kernel still has for the client, once the connection ends.
    pub(super) fn forget_unsent(&self) {
        if let Some(wire) = &self.lock().wire {
            wire.forget_unsent();
        }
    }

    /// The stream below, for a last look at what the client still sends: from now on nothing is written.
    pub(super) fn take_wire(&self) -> Option<Wire> {
        self.lock().wire.take()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no code panics while it holds a connection")
    }
}

/// What the socket's task does.
impl State {
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// From now on what is written past the task may be left to it.
    pub(super) fn task_reads(&mut self, cx: &Context<'_>) {
        match &mut self.task {
            Some(task) => task.clone_from(cx.waker()),
            None => self.task = Some(cx.waker().clone()),
        }
    }

    /// Whether something that was written past the task is left to it.
    pub(super) fn has_rest(&self) -> bool {
        self.rest.has_remaining() || self.is_unflushed
    }

    pub(super) fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.rest.has_remaining() {
            let rest = self.rest.clone();
            let written = ready!(self.poll_take(|wire| wire.poll_write(cx, &rest)))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.rest.advance(written);
        }
        // An empty slice would still hold all that it was cut from.
        self.rest = Bytes::new();
        if self.is_unflushed {
            ready!(self.wire_do(|wire| wire.poll_flush(cx)))?;
            self.is_unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.wire_do(|wire| wire.poll_read(cx, buf))
    }

    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_take(|wire| wire.poll_write(cx, buf))
    }

    pub(super) fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_take(|wire| wire.poll_write_vectored(cx, bufs))
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire_do(|wire| wire.poll_flush(cx))
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire_do(|wire| wire.poll_shutdown(cx))
    }
}

/// What happens past it.
impl State {
    fn is_open(&self) -> bool {
        !self.has_rest() && self.task.is_some()
    }

    fn write_direct(&mut self, mut frames: Bytes) -> bool {
        let (Some(wire), Some(task)) = (&mut self.wire, &self.task) else {
            return false;
        };
        let waker = || task.clone();
        // After an error the task meets it too.
        let Ok(written @ 1..) = wire.write_now(&frames, waker) else {
            return false;
        };
        self.taken += written as u64;
        frames.advance(written);
        if frames.has_remaining() || !matches!(wire.flush_now(waker), Ok(true)) {
            self.rest = frames;
            self.is_unflushed = true;
            task.wake_by_ref();
        }
        true
    }

    fn poll_take(
        &mut self,
        write: impl FnOnce(Pin<&mut Wire>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let written = ready!(self.wire_do(write))?;
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
}
