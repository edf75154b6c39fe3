use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(feature = "tls")]
use tokio_rustls::server::TlsStream;

use super::activity::Phase;
use super::request_scan::RequestScan;
use super::slots::Slot;
use super::timeouts::TimeoutStream;

/// What the parser gets in place of the byte that makes a head ambiguous: no parser accepts a NUL, so hyper answers
/// 400 and closes. It looks at a head in several parts only once its end is there.
const REFUSED: &[u8] = b"\0\r\n\r\n";

/// A client's connection as [`serve()`](super::serve) hands it to hyper, with or without TLS.
///
/// hyper gets one request at a time, whatever the client has sent behind it: bytes behind a request wait until it is
/// answered. So each request is checked like the first, and what follows an upgrade is not taken for a request.
///
/// After an upgrade, `hyper::upgrade::Upgraded::downcast::<TokioIo<Connection>>` returns it. Writes that make no
/// progress still fail after [`Limits::write_stall_timeout`](super::Limits::write_stall_timeout); reads no longer time
/// out.
pub struct Connection {
    io: Io,
    request: RequestScan,
    /// The requests that were answered before the current one.
    answers: u64,
    /// Bytes that were read along with the current request and follow it: at most one read of hyper, which
    /// [`Limits::head_bytes_max`](super::Limits::head_bytes_max) bounds.
    early: Bytes,
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
            request: RequestScan::new(),
            answers: 0,
            early: Bytes::new(),
        }
    }

    /// The underlying TCP stream, without timeouts, and the connection's [`Slot`]. Keep the slot as long as the stream.
    ///
    /// # Errors
    /// Returns the connection itself if it uses TLS, or holds [early bytes](Self::take_early).
    #[expect(clippy::result_large_err, reason = "it is moved, not propagated")]
    pub fn into_tcp(self) -> Result<(TcpStream, Slot), Self> {
        if !self.early.is_empty() {
            return Err(self);
        }
        match self.io {
            Io::Plain(stream) => Ok(stream.into_parts()),
            #[cfg(feature = "tls")]
            Io::Tls(_) => Err(self),
        }
    }

    /// Takes the bytes that the client has sent behind its request and that were already read. A read would return
    /// them first.
    pub fn take_early(&mut self) -> Bytes {
        std::mem::take(&mut self.early)
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

    fn stream_mut(&mut self) -> &mut TimeoutStream {
        match &mut self.io {
            Io::Plain(stream) => stream,
            #[cfg(feature = "tls")]
            Io::Tls(tls) => tls.get_mut().0,
        }
    }

    /// How many of these bytes hyper may have now.
    fn admit(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.stream().activity().phase() {
            Phase::Upgraded => return Ok(bytes.len()),
            Phase::AwaitsHead(answers)
                if self.answers != answers && matches!(self.request, RequestScan::Whole) =>
            {
                self.answers = answers;
                self.request = RequestScan::new();
            }
            Phase::AwaitsHead(_) | Phase::Answers => {}
        }
        self.request.scan(bytes)
    }

    /// Hands over early bytes, once the request before them is answered.
    fn poll_early(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if matches!(self.request, RequestScan::Ambiguous) {
            self.early = Bytes::from_static(REFUSED);
            self.request = RequestScan::Body(REFUSED.len() as u64);
        }
        let fitting = self.early.slice(..self.early.len().min(buffer.remaining()));
        let admitted = self.admit(&fitting)?;
        if admitted == 0 {
            if self.stream().activity().phase() == Phase::Answers {
                self.stream().activity().register_reader(cx);
                return Poll::Pending;
            }
            // hyper and the scan disagree about where the request ends.
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        buffer.put_slice(&fitting[..admitted]);
        drop(self.early.split_to(admitted));
        if self.early.is_empty() {
            self.early = Bytes::new();
        }
        if self.request.is_in_head() {
            self.stream_mut().head_has_begun();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.early.is_empty() {
            let before = buffer.filled().len();
            ready!(match &mut this.io {
                Io::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
                #[cfg(feature = "tls")]
                Io::Tls(tls) => Pin::new(tls.as_mut()).poll_read(cx, buffer),
            })?;
            let read = &buffer.filled()[before..];
            let admitted = this.admit(read)?;
            if admitted == read.len() {
                return Poll::Ready(Ok(()));
            }
            this.early = Bytes::copy_from_slice(&read[admitted..]);
            buffer.set_filled(before + admitted);
            if admitted > 0 {
                return Poll::Ready(Ok(()));
            }
        }
        this.poll_early(cx, buffer)
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
