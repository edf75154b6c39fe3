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

use crate::transport::{
    frame::{CloseCode, Inbound},
    shared_wire::{SharedWire, TaskEnd},
    wire::Wire,
};

pub(super) struct Guarded {
    end: TaskEnd,
    /// Read by HTTP already: it comes before what the wire has.
    early: Bytes,
    inbound: Inbound,
    fault: Option<CloseCode>,
}

impl Guarded {
    pub(super) fn new(wire: Wire, early: Bytes, write_stall: Duration) -> Self {
        Self {
            end: TaskEnd::new(wire, write_stall),
            early,
            inbound: Inbound::default(),
            fault: None,
        }
    }

    /// What is written to past the task.
    pub(super) fn wire(&self) -> &Arc<SharedWire> {
        self.end.wire()
    }

    /// The code with which a breach of the protocol is answered, if there was one.
    pub(super) fn fault(&self) -> Option<CloseCode> {
        self.fault
    }

    fn poll_read_some(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if self.early.is_empty() {
            ready!(self.end.poll_read(cx, buf))?;
        } else {
            let taken = self.early.len().min(buf.remaining());
            buf.put_slice(&self.early.split_to(taken));
        }
        let verdict = self.inbound.take(&buf.filled()[before..]);
        Poll::Ready(verdict.map_err(|code| {
            self.fault = Some(code);
            code.breach()
        }))
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.get_mut().poll_read_some(cx, buf)
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut()
            .end
            .poll_write_with(cx, |wire, cx| wire.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut()
            .end
            .poll_write_with(cx, |wire, cx| wire.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut()
            .end
            .poll_write_with(cx, |wire, cx| wire.get()?.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut()
            .end
            .poll_write_with(cx, |wire, cx| wire.get()?.poll_shutdown(cx))
    }
}
