//! The wire of one connection, which two write to: the task that serves it, and whoever carries the feed's riders. They
//! never do so at the same time: a follower rides only while its task waits, and a task that waits has written all
//! that it began. What the wire does not take of a rider's bytes at once the task finishes.

use std::{
    io,
    marker::PhantomData,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{direct_wire::DirectWire, stall::Stall, wire::Wire};
use crate::feed::{Batch, Encoding, Sink};

/// One connection's wire.
#[derive(Debug)]
pub(super) struct SharedWire {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    wire: DirectWire,
    /// Whether it has not taken all that was written past the task, or keeps back something of it, as TLS may.
    is_unflushed: bool,
    /// The task, while it waits for the client.
    task: Option<Waker>,
}

impl SharedWire {
    fn new(wire: Wire) -> Self {
        let state = State {
            wire: DirectWire::new(wire),
            is_unflushed: false,
            task: None,
        };
        Self {
            state: Mutex::new(state),
        }
    }

    /// Whether anything may be written past the task.
    fn is_open(&self) -> bool {
        self.lock().is_open()
    }

    /// Writes past the task, if nothing is in the way and the wire takes some of it at once: whether all of it is on
    /// its way. It does not block.
    fn write_direct(&self, bytes: impl FnOnce() -> Bytes) -> bool {
        let mut state = self.lock();
        state.is_open() && state.write_direct(bytes())
    }

    /// Drops what the kernel still has for the client, once the connection ends.
    pub(super) fn forget_unsent(&self) {
        if let Ok(wire) = self.lock().wire.get() {
            wire.forget_unsent();
        }
    }

    /// The stream below, for a last look at what the client still sends: from now on nothing is written.
    pub(super) fn take_wire(&self) -> Option<Wire> {
        self.lock().wire.take()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no code panics while it holds a connection")
    }
}

/// What the task does.
impl State {
    /// From now on what is written past the task may be left to it.
    fn task_reads(&mut self, cx: &Context<'_>) {
        match &mut self.task {
            Some(task) => task.clone_from(cx.waker()),
            None => self.task = Some(cx.waker().clone()),
        }
    }

    /// Whether something that was written past the task is left to it.
    fn has_rest(&self) -> bool {
        self.is_unflushed
    }

    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.wire.poll_rest(cx))?;
        if self.is_unflushed {
            ready!(self.wire.get()?.poll_flush(cx))?;
            self.is_unflushed = false;
        }
        Poll::Ready(Ok(()))
    }
}

/// What happens past it.
impl State {
    fn is_open(&self) -> bool {
        !self.has_rest() && self.task.is_some()
    }

    fn write_direct(&mut self, bytes: Bytes) -> bool {
        let Some(task) = &self.task else {
            return false;
        };
        let waker = || task.clone();
        // After an error the task meets it too.
        let Ok(is_all) = self.wire.write_now(bytes, waker) else {
            return false;
        };
        let mut flush = || self.wire.get()?.flush_now(waker);
        if !is_all || !matches!(flush(), Ok(true)) {
            self.is_unflushed = true;
            task.wake_by_ref();
        }
        true
    }
}

/// The task's end of a wire.
pub(super) struct TaskEnd {
    wire: Arc<SharedWire>,
    write_stall: Duration,
    stall: Option<Stall>,
}

impl TaskEnd {
    /// A write that makes no progress for `write_stall` is an error.
    pub(super) fn new(wire: Wire, write_stall: Duration) -> Self {
        Self {
            wire: Arc::new(SharedWire::new(wire)),
            write_stall,
            stall: None,
        }
    }

    /// What is written to past the task.
    pub(super) fn wire(&self) -> &Arc<SharedWire> {
        &self.wire
    }

    /// Does something with the wire's writing side, behind what was written past the task.
    pub(super) fn poll_write_with<T>(
        &mut self,
        cx: &mut Context<'_>,
        act: impl FnOnce(&mut DirectWire, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let (result, taken) = {
            let mut state = self.wire.lock();
            let result = match state.poll_rest(cx) {
                Poll::Ready(Ok(())) => act(&mut state.wire, cx),
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Pending => Poll::Pending,
            };
            (result, state.wire.taken())
        };
        if result.is_ready() {
            self.stall = None;
            return result;
        }
        let limit = self.write_stall;
        let stall = self.stall.get_or_insert_with(|| Stall::new(limit, taken));
        ready!(stall.poll(cx, taken));
        self.wire.forget_unsent();
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Reads what the client sends; what was begun past the task is finished meanwhile.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let result = {
            let mut state = self.wire.lock();
            state.task_reads(cx);
            state.wire.get()?.poll_read(cx, buf)
        };
        // Looked at behind `task_reads`: what is begun from then on wakes the task.
        if self.wire.lock().has_rest()
            && let Poll::Ready(Err(error)) = self.poll_write_with(cx, |_, _| Poll::Ready(Ok(())))
        {
            return Poll::Ready(Err(error));
        }
        result
    }
}

/// A rider's place on a wire, where messages are written as `E` has them.
pub(super) struct PastTask<E> {
    wire: Arc<SharedWire>,
    encoding: PhantomData<fn() -> E>,
}

impl<E> PastTask<E> {
    pub(super) fn new(wire: Arc<SharedWire>) -> Self {
        let encoding = PhantomData;
        Self { wire, encoding }
    }
}

impl<E: Encoding> Sink for PastTask<E> {
    fn is_open(&self) -> bool {
        self.wire.is_open()
    }

    fn offer(&self, batch: &Batch) -> bool {
        self.wire.write_direct(|| batch.encoded::<E>())
    }
}
