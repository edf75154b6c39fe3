//! The wire of one connection with two writers: the task that serves the connection, and direct delivery.
//!
//! ```text
//!            the task calls poll_read             a direct write leaves bytes
//!            (its waker is known)                 unwritten or unflushed
//!  closed ──────────────────────────► open ──────────────────────────────────► unflushed
//!                                      ▲                                           │
//!                                      └───────────────────────────────────────────┘
//!                                        the task, which was woken, has written
//!                                        and flushed the rest
//! ```
//!
//! Only an open wire accepts direct writes. Once the wire was taken out, every write fails.
//!
//! The two never write at the same time. Direct delivery is active only while the task waits for its reader, and
//! a task that waits has written everything it began. If the wire does not take all of a direct write at once, the task
//! writes the rest before anything else.

use std::{
    io,
    marker::PhantomData,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{direct_stream::DirectStream, stall::WriteStall, stream::Wire};
use crate::feed::{Batch, Encoding, Sink};

/// One connection's wire.
#[derive(Debug)]
pub(crate) struct SharedWire {
    state: Mutex<WireState>,
}

#[derive(Debug)]
struct WireState {
    wire: DirectStream,
    /// Whether a direct write has an unwritten rest, or was not flushed yet, as TLS may need.
    is_unflushed: bool,
    /// The task's waker, once it waits for the client.
    task: Option<Waker>,
}

impl SharedWire {
    fn new(wire: Wire) -> Self {
        let state = WireState {
            wire: DirectStream::new(wire),
            is_unflushed: false,
            task: None,
        };
        Self {
            state: Mutex::new(state),
        }
    }

    /// Whether it accepts direct writes now.
    fn is_open(&self) -> bool {
        self.lock().is_open()
    }

    /// Writes without waiting, if it is open and the wire takes at least one byte. Returns whether it did; the task
    /// finishes the rest.
    fn write_direct(&self, bytes: impl FnOnce() -> Bytes) -> bool {
        let mut state = self.lock();
        state.is_open() && state.write_direct(bytes())
    }

    /// Makes closing discard what the kernel still holds for the client.
    pub(crate) fn discard_unsent(&self) {
        if let Ok(wire) = self.lock().wire.get() {
            wire.discard_unsent();
        }
    }

    /// Takes the stream out, to linger on it. Nothing can be written afterwards.
    pub(crate) fn take_wire(&self) -> Option<Wire> {
        self.lock().wire.take()
    }

    fn lock(&self) -> MutexGuard<'_, WireState> {
        self.state
            .lock()
            .expect("no code panics while it holds a connection")
    }
}

/// The task's side.
impl WireState {
    /// Stores the task's waker, to be woken to finish a direct write.
    fn register_task(&mut self, cx: &Context<'_>) {
        match &mut self.task {
            Some(task) => task.clone_from(cx.waker()),
            None => self.task = Some(cx.waker().clone()),
        }
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

/// The direct delivery's side.
impl WireState {
    fn is_open(&self) -> bool {
        !self.is_unflushed && self.task.is_some()
    }

    fn write_direct(&mut self, bytes: Bytes) -> bool {
        let Some(task) = &self.task else {
            return false;
        };
        let waker = || task.clone();
        // After an error here the task gets the same one.
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

/// The task's handle to a shared wire.
pub(crate) struct WireTask {
    wire: Arc<SharedWire>,
    stall: WriteStall,
}

impl WireTask {
    /// A write that makes no progress for `write_stall` is an error.
    pub(crate) fn new(wire: Wire, write_stall: Duration) -> Self {
        Self {
            wire: Arc::new(SharedWire::new(wire)),
            stall: WriteStall::new(write_stall),
        }
    }

    /// The wire that it shares with direct delivery.
    pub(crate) fn wire(&self) -> &Arc<SharedWire> {
        &self.wire
    }

    /// Uses the writing side of the wire, after the rest of a direct write.
    pub(crate) fn poll_write_with<T>(
        &mut self,
        cx: &mut Context<'_>,
        act: impl FnOnce(&mut DirectStream, &mut Context<'_>) -> Poll<io::Result<T>>,
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
        let was_pending = result.is_pending();
        let result = self.stall.check(cx, result, taken);
        if was_pending && result.is_ready() {
            self.wire.discard_unsent();
        }
        result
    }

    /// Reads what the client sends. The rest of a direct write is finished meanwhile.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let result = {
            let mut state = self.wire.lock();
            state.register_task(cx);
            state.wire.get()?.poll_read(cx, buf)
        };
        // Checked after the task was registered: a direct write from then on wakes it.
        if self.wire.lock().is_unflushed
            && let Poll::Ready(Err(error)) = self.poll_write_with(cx, |_, _| Poll::Ready(Ok(())))
        {
            return Poll::Ready(Err(error));
        }
        result
    }
}

/// The sink of a shared wire, for messages encoded as `E`.
pub(crate) struct WireSink<E> {
    wire: Arc<SharedWire>,
    encoding: PhantomData<fn() -> E>,
}

impl<E> WireSink<E> {
    pub(crate) fn new(wire: Arc<SharedWire>) -> Self {
        let encoding = PhantomData;
        Self { wire, encoding }
    }
}

impl<E: Encoding> Sink for WireSink<E> {
    fn is_open(&self) -> bool {
        self.wire.is_open()
    }

    fn offer(&self, batch: &Batch) -> bool {
        self.wire.write_direct(|| batch.encoded::<E>())
    }
}
