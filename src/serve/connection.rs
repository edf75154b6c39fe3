use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(feature = "tls")]
use tokio_rustls::server::TlsStream;

use super::activity::Phase;
use super::head::HeadScan;
use super::slots::Slot;
use super::timeouts::TimeoutStream;

/// A client's connection as [`serve()`](super::serve) hands it to hyper, with or without TLS.
///
/// After an upgrade, `hyper::upgrade::Upgraded::downcast::<TokioIo<Connection>>` returns it. Writes that make no
/// progress still fail after [`Limits::write_stall_timeout`](super::Limits::write_stall_timeout); reads no longer time
/// out.
pub struct Connection {
    io: Io,
    head: HeadScan,
    answers: u64,
}

#[cfg_attr(
    feature = "tls",
    expect(clippy::large_enum_variant, reason = "most connections are plain")
)]
enum Io {
    Plain(TimeoutStream),
    // Boxed, so that plain connections do not have the size of a TLS session.
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream<TimeoutStream>>),
}

impl Connection {
    pub(super) fn plain(stream: TimeoutStream) -> Self {
        Self::new(Io::Plain(stream))
    }

    #[cfg(feature = "tls")]
    pub(super) fn tls(stream: TlsStream<TimeoutStream>) -> Self {
        Self::new(Io::Tls(Box::new(stream)))
    }

    fn new(io: Io) -> Self {
        Self {
            io,
            head: HeadScan::default(),
            answers: 0,
        }
    }

    /// The underlying TCP stream, without timeouts, and the connection's [`Slot`]. Keep the slot as long as the stream.
    ///
    /// # Errors
    /// Returns the connection itself if it uses TLS.
    #[expect(clippy::result_large_err, reason = "it is moved, not propagated")]
    pub fn into_tcp(self) -> Result<(TcpStream, Slot), Self> {
        match self.io {
            Io::Plain(stream) => Ok(stream.into_parts()),
            #[cfg(feature = "tls")]
            Io::Tls(_) => Err(self),
        }
    }

    /// The underlying TCP socket, for its addresses and options. Do not read from it or write to it.
    pub fn tcp(&self) -> &TcpStream {
        self.stream().tcp()
    }

    /// Whether the connection uses TLS.
    pub fn is_tls(&self) -> bool {
        match &self.io {
            Io::Plain(_) => false,
            #[cfg(feature = "tls")]
            Io::Tls(_) => true,
        }
    }

    fn stream(&self) -> &TimeoutStream {
        match &self.io {
            Io::Plain(stream) => stream,
            #[cfg(feature = "tls")]
            Io::Tls(tls) => tls.get_ref().0,
        }
    }

    /// Scans the bytes that belong to the head of a request.
    fn scan(&mut self, read: &mut [u8]) {
        let Phase::AwaitsHead(answers) = self.stream().activity().phase() else {
            return;
        };
        if self.answers != answers {
            self.answers = answers;
            self.head = HeadScan::default();
        }
        self.head.scan(read);
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = match &mut this.io {
            Io::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            #[cfg(feature = "tls")]
            Io::Tls(tls) => Pin::new(tls.as_mut()).poll_read(cx, buffer),
        };
        this.scan(&mut buffer.filled_mut()[before..]);
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().io {
            Io::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            #[cfg(feature = "tls")]
            Io::Tls(tls) => Pin::new(tls.as_mut()).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().io {
            Io::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            #[cfg(feature = "tls")]
            Io::Tls(tls) => Pin::new(tls.as_mut()).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(stream) => stream.is_write_vectored(),
            #[cfg(feature = "tls")]
            Io::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = match &mut this.io {
            Io::Plain(stream) => Pin::new(stream).poll_flush(cx),
            #[cfg(feature = "tls")]
            Io::Tls(tls) => Pin::new(tls.as_mut()).poll_flush(cx),
        };
        if let Poll::Ready(Ok(())) = flushed {
            this.stream().activity().was_flushed();
        }
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(feature = "tls")]
            Io::Tls(tls) => Pin::new(tls.as_mut()).poll_shutdown(cx),
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("tcp", self.tcp())
            .field("is_tls", &self.is_tls())
            .finish_non_exhaustive()
    }
}
