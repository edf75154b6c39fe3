//! The byte stream under a connection, taken out of HTTP.

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

use crate::{
    serve::{Connection, Slot},
    transport::limits::LINGER_BYTES_MAX,
};

/// The stream that HTTP ran on: plain TCP where possible.
#[derive(Debug)]
pub(crate) enum Wire {
    /// With its slot among the connections that [`serve`](crate::serve()) allows, if it comes from there.
    Tcp(
        TcpStream,
        #[expect(dead_code, reason = "held, not read: dropping it frees the slot")] Option<Slot>,
    ),
    /// TLS, from [`serve`](crate::serve()).
    Tls(Box<Connection>),
    /// Any other stream, from a host's own accept loop.
    Other(TokioIo<Upgraded>),
}

impl Wire {
    /// Takes the stream out of HTTP, with the bytes that the client has already sent after its request.
    pub(crate) fn new(upgraded: Upgraded) -> (Self, Bytes) {
        let upgraded = match upgraded.downcast::<TokioIo<Connection>>() {
            Ok(parts) => {
                let mut connection = parts.io.into_inner();
                let early = [parts.read_buf, connection.take_early()].concat();
                return (connection.into(), early.into());
            }
            Err(upgraded) => upgraded,
        };
        // From axum's own accept loop.
        match upgrade::downcast::<TokioIo<TcpStream>>(upgraded) {
            Ok(parts) => {
                let tcp = parts.io.into_inner();
                // As `serve` does, so that an update is not delayed until the client has acknowledged the last
                // one. Without it updates are late, but correct.
                let _: io::Result<()> = tcp.set_nodelay(true);
                (Self::Tcp(tcp, None), copied(&parts.read_buf))
            }
            Err(upgraded) => (Self::Other(TokioIo::new(upgraded)), Bytes::new()),
        }
    }

    /// Makes closing discard the bytes that were not sent yet, instead of keeping a connection that its client does
    /// not read. If that fails, the kernel gives up later by itself.
    pub(crate) fn discard_unsent(&self) {
        let _: io::Result<()> = match self {
            Self::Tcp(tcp, _) => tcp.set_zero_linger(),
            Self::Tls(tls) => tls.tcp().set_zero_linger(),
            Self::Other(_) => Ok(()),
        };
    }

    /// Writes without waiting, or fails with [`WouldBlock`](io::ErrorKind::WouldBlock). The waker may or may not be
    /// registered: poll to be woken.
    pub(crate) fn write_now(
        &mut self,
        buf: &[u8],
        waker: impl FnOnce() -> Waker,
    ) -> io::Result<usize> {
        match self {
            // The fast path: no waker is created or registered.
            Self::Tcp(tcp, _) => tcp.try_write(buf),
            _ => match Pin::new(self).poll_write(&mut Context::from_waker(&waker()), buf) {
                Poll::Ready(written) => written,
                Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
            },
        }
    }

    /// Flushes without waiting. Returns whether everything was flushed.
    pub(crate) fn flush_now(&mut self, waker: impl FnOnce() -> Waker) -> io::Result<bool> {
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
    /// Drops the bytes that the client has sent behind its request.
    fn from(mut connection: Connection) -> Self {
        drop(connection.take_early());
        match connection.into_tcp() {
            Ok((tcp, slot)) => Self::Tcp(tcp, Some(slot)),
            Err(tls) => Self::Tls(Box::new(tls)),
        }
    }
}

/// A copy, since the bytes are a slice of a read buffer that would stay allocated with them.
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

/// Shuts down the sending side, then reads and discards what the client still sends, up to a bound. Closing a
/// socket with unread bytes makes the kernel send a reset, which may overtake the last frame.
pub(crate) async fn linger(mut wire: Wire) -> io::Result<()> {
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
