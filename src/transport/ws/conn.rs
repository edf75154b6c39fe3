//! The wire of one WebSocket, which two write to: the socket's task, and whoever carries the feed's riders. They
//! never do so at the same time: a follower rides only while its task waits, and a task that waits has written all
//! that it began. What the wire does not take of a rider's frames at once the task finishes.

use std::{
    io,
    sync::{Mutex, MutexGuard},
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use tokio::io::AsyncWrite;

use crate::transport::{direct_wire::DirectWire, wire::Wire};

/// One WebSocket's wire.
#[derive(Debug)]
pub(super) struct Conn {
    state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) wire: DirectWire,
    /// Whether it has not taken all that was written past the task, or keeps back something of it, as TLS may.
    is_unflushed: bool,
    /// The task, while it waits for the client.
    task: Option<Waker>,
}

impl Conn {
    pub(super) fn new(wire: Wire) -> Self {
        let state = State {
            wire: DirectWire::new(wire),
            is_unflushed: false,
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
        if let Ok(wire) = self.lock().wire.get() {
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
    /// From now on what is written past the task may be left to it.
    pub(super) fn task_reads(&mut self, cx: &Context<'_>) {
        match &mut self.task {
            Some(task) => task.clone_from(cx.waker()),
            None => self.task = Some(cx.waker().clone()),
        }
    }

    /// Whether something that was written past the task is left to it.
    pub(super) fn has_rest(&self) -> bool {
        self.is_unflushed
    }

    pub(super) fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
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

    fn write_direct(&mut self, frames: Bytes) -> bool {
        let Some(task) = &self.task else {
            return false;
        };
        let waker = || task.clone();
        // After an error the task meets it too.
        let Ok(is_all) = self.wire.write_now(frames, waker) else {
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
