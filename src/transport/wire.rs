//! The bytes under a WebSocket once HTTP has let go of them.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::{rt::TokioIo, server::conn::auto::upgrade};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
};

use super::limits::LINGER_BYTES_MAX;
use crate::serve::{Connection, Slot};

/// A plain TCP stream where that is what HTTP ran on, else whatever it was.
#[derive(Debug)]
pub(super) enum Wire {
    /// With its place among the connections that [`serve`](crate::serve) allows, if it is from there.
    Tcp(
        TcpStream,
        #[expect(
            dead_code,
            reason = "held, not read: dropping it makes room for another"
        )]
        Option<Slot>,
    ),
    /// TLS, from the same.
    Tls(Box<Connection>),
    /// A host's own.
    Other(TokioIo<Upgraded>),
}

impl Wire {
    /// Takes the stream out of HTTP, with what the client had already sent after its request.
    pub(super) fn new(upgraded: Upgraded) -> (Self, Bytes) {
        let upgraded = match upgraded.downcast::<TokioIo<Connection>>() {
            Ok(parts) => return (parts.io.into_inner().into(), copied(&parts.read_buf)),
            Err(upgraded) => upgraded,
        };
        // As axum's own accept loop has it.
        match upgrade::downcast::<TokioIo<TcpStream>>(upgraded) {
            Ok(parts) => {
                let tcp = parts.io.into_inner();
                // As `serve` does. A push must not wait until the one before is acknowledged; where that
                // cannot be had, pushes are late and still right.
                let _: io::Result<()> = tcp.set_nodelay(true);
                (Self::Tcp(tcp, None), copied(&parts.read_buf))
            }
            Err(upgraded) => (Self::Other(TokioIo::new(upgraded)), Bytes::new()),
        }
    }

    /// Closing will throw away what was not sent yet, instead of keeping a connection that nobody reads.
    /// Where that cannot be had, the kernel gives up by itself, later.
    pub(super) fn forget_unsent(&self) {
        let _: io::Result<()> = match self {
            Self::Tcp(tcp, _) => tcp.set_zero_linger(),
            Self::Tls(tls) => tls.tcp().set_zero_linger(),
            Self::Other(_) => Ok(()),
        };
    }

    /// Writes what is taken at once, or fails with [`WouldBlock`](io::ErrorKind::WouldBlock). The waker may be
    /// woken for what comes after, but for that it must be asked again.
    pub(super) fn write_now(
        &mut self,
        buf: &[u8],
        waker: impl FnOnce() -> Waker,
    ) -> io::Result<usize> {
        match self {
            // The short way: no waker is made, and none is left behind.
            Self::Tcp(tcp, _) => tcp.try_write(buf),
            _ => match Pin::new(self).poll_write(&mut Context::from_waker(&waker()), buf) {
                Poll::Ready(written) => written,
                Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
            },
        }
    }

    /// Whether all that was written is on its way.
    pub(super) fn flush_now(&mut self, waker: impl FnOnce() -> Waker) -> io::Result<bool> {
        match self {
            Self::Tcp(..) => Ok(true),
            _ => match Pin::new(self).poll_flush(&mut Context::from_waker(&waker())) {
                Poll::Ready(flushed) => flushed.map(|()| true),
                Poll::Pending => Ok(false),
            },
        }
    }
}

impl From<Connection> for Wire {
    fn from(connection: Connection) -> Self {
        match connection.into_tcp() {
            Ok((tcp, slot)) => Self::Tcp(tcp, Some(slot)),
            Err(tls) => Self::Tls(Box::new(tls)),
        }
    }
}

/// The bytes alone: they are a slice of a read buffer that would live on with them.
fn copied(early: &Bytes) -> Bytes {
    Bytes::copy_from_slice(early)
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp, _) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_read(cx, buf),
            Self::Other(io) => Pin::new(io).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(tcp, _) => Pin::new(tcp).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_write(cx, buf),
            Self::Other(io) => Pin::new(io).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(tcp, _) => Pin::new(tcp).poll_write_vectored(cx, slices),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_write_vectored(cx, slices),
            Self::Other(io) => Pin::new(io).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(tcp, _) => tcp.is_write_vectored(),
            Self::Tls(tls) => tls.is_write_vectored(),
            Self::Other(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp, _) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_flush(cx),
            Self::Other(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp, _) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_shutdown(cx),
            Self::Other(io) => Pin::new(io).poll_shutdown(cx),
        }
    }
}

/// Reads on for a moment after a close frame. Closing a socket with unread bytes in it makes the
/// kernel send a reset, which may overtake the frame that says why.
pub(super) async fn linger(mut wire: Wire) -> io::Result<()> {
    wire.shutdown().await?;
    let mut scratch = [0; 1024];
    let mut left = LINGER_BYTES_MAX;
    while left > 0 {
        let read = wire.read(&mut scratch).await?;
        if read == 0 {
            break;
        }
        left = left.saturating_sub(read);
    }
    Ok(())
}
