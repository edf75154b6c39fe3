//! The wire of a connection to which the feed's frames are also written directly, past whoever serves it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

use super::wire::Wire;

/// A wire until it is let go, how much it has taken, and what it has not taken yet of a direct write.
#[derive(Debug)]
pub(super) struct DirectWire {
    /// `None` once it was let go: the descriptor may be free although handles remain.
    wire: Option<Wire>,
    /// Whoever writes must write it first.
    rest: Bytes,
    taken: u64,
}

impl DirectWire {
    pub(super) fn new(wire: Wire) -> Self {
        Self {
            wire: Some(wire),
            rest: Bytes::new(),
            taken: 0,
        }
    }

    /// All bytes that the wire took.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// How much a direct write left over.
    pub(super) fn rest_bytes(&self) -> usize {
        self.rest.len()
    }

    /// The wire itself, or an error once it was let go.
    pub(super) fn get(&mut self) -> io::Result<Pin<&mut Wire>> {
        let wire = self.wire.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Pin::new(wire))
    }

    /// Lets the wire go, with whatever was not written yet.
    pub(super) fn take(&mut self) -> Option<Wire> {
        self.rest = Bytes::new();
        self.wire.take()
    }

    /// Writes as much as is taken at once, at least something, and keeps the rest: whether all was taken.
    pub(super) fn write_now(
        &mut self,
        mut frames: Bytes,
        waker: impl FnOnce() -> Waker,
    ) -> io::Result<bool> {
        let written = self.get()?.write_now(&frames, waker)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.taken += written as u64;
        frames.advance(written);
        let is_all = frames.is_empty();
        if !is_all {
            self.rest = frames;
        }
        Ok(is_all)
    }

    /// Finishes the direct write that was begun, if one was.
    pub(super) fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut rest = std::mem::take(&mut self.rest);
        let written = self.poll_write_all(cx, &mut rest);
        self.rest = rest;
        written
    }

    /// Writes all of these bytes, and leaves those that are still to be written.
    pub(super) fn poll_write_all(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &mut Bytes,
    ) -> Poll<io::Result<()>> {
        while bytes.has_remaining() {
            let written = ready!(self.poll_write(cx, bytes))?;
            bytes.advance(written);
        }
        // An empty slice would still hold all that it was cut from.
        *bytes = Bytes::new();
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(self.get()?.poll_write(cx, bytes))?;
        if written == 0 && !bytes.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.taken += written as u64;
        Poll::Ready(Ok(written))
    }

    pub(super) fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(self.get()?.poll_write_vectored(cx, slices))?;
        if written == 0 && slices.iter().any(|slice| !slice.is_empty()) {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.taken += written as u64;
        Poll::Ready(Ok(written))
    }
}
