//! The bytes of one WebSocket, guarded: what breaks the protocol or a bound is an error with a code, and
//! so is a write that makes no progress.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use crate::transport::{
    frame::{CloseCode, Inbound},
    wire::Wire,
};

pub(super) struct Guarded {
    wire: Wire,
    /// Read by HTTP already: it comes before what the wire has.
    early: Bytes,
    inbound: Inbound,
    fault: Option<CloseCode>,
    write_stall: Duration,
    stall: Option<Pin<Box<Sleep>>>,
}

impl Guarded {
    pub(super) fn new(wire: Wire, early: Bytes, write_stall: Duration) -> Self {
        Self {
            wire,
            early,
            inbound: Inbound::default(),
            fault: None,
            write_stall,
            stall: None,
        }
    }

    /// The code with which a breach of the protocol is answered, if there was one.
    pub(super) fn fault(&self) -> Option<CloseCode> {
        self.fault
    }

    /// Drops what the kernel still has for the client, once the connection ends.
    pub(super) fn forget_unsent(&self) {
        self.wire.forget_unsent();
    }

    /// The stream below, for a last look at what the client still sends.
    pub(super) fn into_wire(self) -> Wire {
        self.wire
    }

    fn unless_stalled<T>(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.stall = None;
            return result;
        }
        let wait = self.write_stall;
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(wait)));
        ready!(stall.as_mut().poll(cx));
        self.wire.forget_unsent();
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        if this.early.is_empty() {
            ready!(Pin::new(&mut this.wire).poll_read(cx, buf))?;
        } else {
            let taken = this.early.len().min(buf.remaining());
            buf.put_slice(&this.early.split_to(taken));
        }
        Poll::Ready(this.inbound.take(&buf.filled()[before..]).map_err(|code| {
            this.fault = Some(code);
            io::Error::new(
                io::ErrorKind::InvalidData,
                "the client broke the WebSocket protocol",
            )
        }))
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.wire).poll_write(cx, buf);
        this.unless_stalled(cx, result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.wire).poll_write_vectored(cx, bufs);
        this.unless_stalled(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.wire).poll_flush(cx);
        this.unless_stalled(cx, result)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.wire).poll_shutdown(cx);
        this.unless_stalled(cx, result)
    }
}
