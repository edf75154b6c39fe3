//! The byte stream of one WebSocket, checked: bytes that break the protocol or a bound are an error with a close
//! code, and a write that makes no progress is an error.
//!
//! It is not one type with the other two stream wrappers: `serve`'s also times HTTP's waits, and the engine's writes
//! between packets of two tasks.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::{close_code::CloseCode, inbound::InboundTracker};
use crate::transport::{
    limits::{SMALL_FRAMES, SMALL_FRAMES_MAX},
    per_second::PerSecond,
    wire::{SharedWire, Wire, WireTask},
};

pub(super) struct CheckedStream {
    task: WireTask,
    /// Bytes that HTTP has already read. They come before those of the wire.
    early: Bytes,
    inbound: InboundTracker,
    small_frames: PerSecond,
    fault: Option<CloseCode>,
}

impl CheckedStream {
    pub(super) fn new(wire: Wire, early: Bytes, write_stall: Duration) -> Self {
        Self {
            task: WireTask::new(wire, write_stall),
            early,
            inbound: InboundTracker::default(),
            small_frames: PerSecond::default(),
            fault: None,
        }
    }

    /// The wire that the task shares with direct delivery.
    pub(super) fn wire(&self) -> &Arc<SharedWire> {
        self.task.wire()
    }

    /// The close code for the client's protocol error, if there was one.
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
            ready!(self.task.poll_read(cx, buf))?;
        } else {
            let taken = self.early.len().min(buf.remaining());
            buf.put_slice(&self.early.split_to(taken));
        }
        let verdict = self.check(&buf.filled()[before..]);
        Poll::Ready(verdict.map_err(|code| {
            self.fault = Some(code);
            code.protocol_error()
        }))
    }

    fn check(&mut self, mut bytes: &[u8]) -> Result<(), CloseCode> {
        while !bytes.is_empty() {
            let step = self.inbound.step(bytes)?;
            let is_small = step.ended.is_some_and(|frame| frame.is_small());
            if is_small && self.small_frames.count(Instant::now()) > SMALL_FRAMES_MAX {
                SMALL_FRAMES.turned_away(SMALL_FRAMES_MAX as usize);
                return Err(CloseCode::Policy);
            }
            bytes = &bytes[step.used..];
        }
        Ok(())
    }
}

impl AsyncRead for CheckedStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.get_mut().poll_read_some(cx, buf)
    }
}

impl AsyncWrite for CheckedStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut()
            .task
            .poll_write_with(cx, |wire, cx| wire.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut()
            .task
            .poll_write_with(cx, |wire, cx| wire.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut()
            .task
            .poll_write_with(cx, |wire, cx| wire.get()?.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut()
            .task
            .poll_write_with(cx, |wire, cx| wire.get()?.poll_shutdown(cx))
    }
}
