//! A wire that accepts direct writes: writes that do not wait, and whose unwritten rest is finished later.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

use super::stream::Wire;

/// A wire until it is released, the bytes it has taken, and the unwritten rest of a direct write.
#[derive(Debug)]
pub(crate) struct DirectStream {
    /// `None` once it was released: the descriptor is free even if handles to this remain.
    wire: Option<Wire>,
    /// Must be written before anything else.
    rest: Bytes,
    taken: u64,
}

impl DirectStream {
    pub(crate) fn new(wire: Wire) -> Self {
        Self {
            wire: Some(wire),
            rest: Bytes::new(),
            taken: 0,
        }
    }

    /// The number of bytes that the wire has taken.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// How many bytes of a direct write are still to be written.
    pub(crate) fn rest_bytes(&self) -> usize {
        self.rest.len()
    }

    /// The wire itself, or an error once it was released.
    pub(crate) fn get(&mut self) -> io::Result<Pin<&mut Wire>> {
        let wire = self.wire.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Pin::new(wire))
    }

    /// Releases the wire, and drops the rest of a direct write.
    pub(crate) fn take(&mut self) -> Option<Wire> {
        self.rest = Bytes::new();
        self.wire.take()
    }

    /// Writes at least one byte without waiting, and keeps the rest for later. Returns whether everything was
    /// written.
    pub(crate) fn write_now(
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

    /// Writes the rest of a direct write, if there is one.
    pub(crate) fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut rest = std::mem::take(&mut self.rest);
        let written = self.poll_write_all(cx, &mut rest);
        self.rest = rest;
        written
    }

    /// Writes all of `bytes`, and removes from it what was written.
    pub(crate) fn poll_write_all(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &mut Bytes,
    ) -> Poll<io::Result<()>> {
        while bytes.has_remaining() {
            let written = ready!(self.poll_write(cx, bytes))?;
            bytes.advance(written);
        }
        // An empty slice would keep its whole allocation.
        *bytes = Bytes::new();
        Poll::Ready(Ok(()))
    }

    pub(crate) fn poll_write(
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

    pub(crate) fn poll_write_vectored(
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
