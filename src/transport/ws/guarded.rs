//! The bytes of one WebSocket as its task sees them, guarded: what breaks the protocol or a bound is an error
//! with a code, and so is a write that makes no progress.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::conn::Conn;
use crate::transport::{
    direct_wire::DirectWire,
    frame::{CloseCode, Inbound},
    stall::Stall,
    wire::Wire,
};

pub(super) struct Guarded {
    conn: Arc<Conn>,
    /// Read by HTTP already: it comes before what the wire has.
    early: Bytes,
    inbound: Inbound,
    fault: Option<CloseCode>,
    write_stall: Duration,
    stall: Option<Stall>,
}

impl Guarded {
    pub(super) fn new(wire: Wire, early: Bytes, write_stall: Duration) -> Self {
        Self {
            conn: Arc::new(Conn::new(wire)),
            early,
            inbound: Inbound::default(),
            fault: None,
            write_stall,
            stall: None,
        }
    }

    /// What is written to past the task.
    pub(super) fn conn(&self) -> &Arc<Conn> {
        &self.conn
    }

    /// The code with which a breach of the protocol is answered, if there was one.
    pub(super) fn fault(&self) -> Option<CloseCode> {
        self.fault
    }

    /// Does something with the wire's writing side, behind what was written past the task.
    fn poll_write_with<T>(
        &mut self,
        cx: &mut Context<'_>,
        act: impl FnOnce(&mut DirectWire, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let (result, taken) = {
            let mut state = self.conn.lock();
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
        self.conn.forget_unsent();
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_read_some(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.conn.lock();
        state.task_reads(cx);
        let before = buf.filled().len();
        if self.early.is_empty() {
            ready!(state.wire.get()?.poll_read(cx, buf))?;
        } else {
            let taken = self.early.len().min(buf.remaining());
            buf.put_slice(&self.early.split_to(taken));
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
}

impl AsyncRead for Guarded {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = this.poll_read_some(cx, buf);
        // The task reads whenever it waits: so it finishes what was begun past it. Looked at behind `task_reads`:
        // what is begun from then on wakes it.
        if this.conn.lock().has_rest()
            && let Poll::Ready(Err(error)) = this.poll_write_with(cx, |_, _| Poll::Ready(Ok(())))
        {
            return Poll::Ready(Err(error));
        }
        result
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut()
            .poll_write_with(cx, |wire, cx| wire.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut()
            .poll_write_with(cx, |wire, cx| wire.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut()
            .poll_write_with(cx, |wire, cx| wire.get()?.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut()
            .poll_write_with(cx, |wire, cx| wire.get()?.poll_shutdown(cx))
    }
}
