use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(feature = "tls")]
use tokio_rustls::server::TlsStream;

use super::activity::Phase;
use super::guard::Guarded;
use super::head::HeadScan;
use super::slots::Slot;

/// A client's connection as [`serve`](super::serve) hands it to hyper, with or without TLS.
///
/// After an upgrade it is what `hyper::upgrade::Upgraded::downcast::<TokioIo<Connection>>` gives back. As it is, it
/// still ends with an error when a write makes no progress
/// ([`Limits::write_stall_timeout`](super::Limits::write_stall_timeout)); reading has no limit any more.
pub struct Connection {
    io: Io,
    head: HeadScan,
    answers: u64,
}

#[cfg_attr(
    feature = "tls",
    expect(clippy::large_enum_variant, reason = "plain is the common one")
)]
enum Io {
    Plain(Guarded),
    // Boxed: a TLS session is some hundred bytes, which plain connections need not carry.
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream<Guarded>>),
}

impl Connection {
    pub(super) fn plain(guarded: Guarded) -> Self {
        Self::new(Io::Plain(guarded))
    }

    #[cfg(feature = "tls")]
    pub(super) fn tls(stream: TlsStream<Guarded>) -> Self {
        Self::new(Io::Tls(Box::new(stream)))
    }

    fn new(io: Io) -> Self {
        Self {
            io,
            head: HeadScan::default(),
            answers: 0,
        }
    }

    /// The TCP stream below, without any limit on waiting, and the connection's place among those
    /// allowed: keep the [`Slot`] as long as the stream.
    ///
    /// # Errors
    /// Gives the connection back if there is TLS between it and the TCP stream.
    // The error is the value itself, which the caller goes on with.
    #[expect(clippy::result_large_err, reason = "it is moved, not propagated")]
    pub fn into_tcp(self) -> Result<(TcpStream, Slot), Self> {
        match self.io {
            Io::Plain(guarded) => Ok(guarded.into_parts()),
            #[cfg(feature = "tls")]
            Io::Tls(_) => Err(self),
        }
    }

    /// The TCP socket below, for its addresses and options. What is read from it or written to it
    /// here is missing above.
    pub fn tcp(&self) -> &TcpStream {
        self.guarded().tcp()
    }

    /// Whether the client speaks TLS to us.
    pub fn is_tls(&self) -> bool {
        match &self.io {
            Io::Plain(_) => false,
            #[cfg(feature = "tls")]
            Io::Tls(_) => true,
        }
    }

    fn guarded(&self) -> &Guarded {
        match &self.io {
            Io::Plain(guarded) => guarded,
            #[cfg(feature = "tls")]
            Io::Tls(stream) => stream.get_ref().0,
        }
    }

    /// Scans what was read, as far as it is the head of a request.
    fn scan(&mut self, read: &mut [u8]) {
        let Phase::AwaitsHead(answers) = self.guarded().activity().phase() else {
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
            Io::Plain(guarded) => Pin::new(guarded).poll_read(cx, buffer),
            #[cfg(feature = "tls")]
            Io::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buffer),
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
            Io::Plain(guarded) => Pin::new(guarded).poll_write(cx, bytes),
            #[cfg(feature = "tls")]
            Io::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().io {
            Io::Plain(guarded) => Pin::new(guarded).poll_write_vectored(cx, slices),
            #[cfg(feature = "tls")]
            Io::Tls(stream) => Pin::new(stream.as_mut()).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(guarded) => guarded.is_write_vectored(),
            #[cfg(feature = "tls")]
            Io::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = match &mut this.io {
            Io::Plain(guarded) => Pin::new(guarded).poll_flush(cx),
            #[cfg(feature = "tls")]
            Io::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        };
        if let Poll::Ready(Ok(())) = flushed {
            this.guarded().activity().was_flushed();
        }
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(guarded) => Pin::new(guarded).poll_shutdown(cx),
            #[cfg(feature = "tls")]
            Io::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
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
