//! A streaming response that its task writes to the connection itself, in chunks, once hyper has written the head.

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    iter,
    marker::PhantomData,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use tokio::{
    io::{AsyncWrite, ReadBuf},
    time::Instant,
};

use super::{
    format::StreamFormat,
    stream::{FormattedStream, KEEP_ALIVE, count_closed},
};
use crate::{
    feed::{Encoding, Message},
    transport::{
        follow::CloseReason,
        limits::{CLOSE_GRACE, LINGER_BYTES_MAX},
        state::TransportState,
        wire::{Wire, WireSink, WireTask, linger},
    },
};

/// The end of a chunk, and of a body (RFC 9112, section 7.1).
const CHUNK_END: &[u8] = b"\r\n";
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// The most parts of one write: the chunk's size, the prelude, a text, and the chunk's end.
const PARTS_MAX: usize = 4;

/// The buffer for what a client sends, which is discarded.
const READ_BYTES: usize = 64;

/// Messages in the format `F`, in one chunk of a body.
struct ChunkEncoding<F>(PhantomData<fn() -> F>);

impl<F: StreamFormat + Default> Encoding for ChunkEncoding<F> {
    fn encode(messages: &[Message]) -> Bytes {
        let format = F::default();
        let texts: Vec<Bytes> = messages.iter().map(|m| format.encode(m)).collect();
        let size = chunk_size(texts.iter().map(Bytes::len).sum());
        let parts = iter::once(&*size).chain(texts.iter().map(|text| &**text));
        let parts: Vec<&[u8]> = parts.chain([CHUNK_END]).collect();
        parts.concat().into()
    }
}

/// The text before a chunk of this length (RFC 9112, section 7.1).
fn chunk_size(length: usize) -> Bytes {
    format!("{length:x}\r\n").into()
}

/// The task that writes such a response.
pub(super) struct ChunkedWriter<F> {
    stream: FormattedStream<F>,
    task: WireTask,
    /// When the next keep-alive is due.
    keep_alive: Instant,
    /// How many bytes the client has sent.
    received: usize,
}

impl<F: StreamFormat + Default> ChunkedWriter<F> {
    pub(super) fn new(stream: FormattedStream<F>, wire: Wire, state: &TransportState) -> Self {
        let task = WireTask::new(wire, state.timing.write_stall);
        let sink = WireSink::<ChunkEncoding<F>>::new(Arc::clone(task.wire()));
        Self {
            stream: stream.delivering_to(sink),
            task,
            keep_alive: Instant::now() + KEEP_ALIVE,
            received: 0,
        }
    }

    /// Writes until the client is gone, or has been sent the closing message.
    pub(super) async fn run(mut self) {
        match self.write_all().await {
            Ok(()) => Box::pin(self.disconnect()).await,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                count_closed(CloseReason::Slow);
            }
            Err(_) => {}
        }
    }

    async fn write_all(&mut self) -> io::Result<()> {
        // The prelude is written together with the first message.
        let mut prelude = self.stream.prelude();
        while let Some(text) = self.next().await? {
            let text = std::mem::take(&mut prelude).chain(text);
            let chunk = chunk_size(text.remaining()).chain(text).chain(CHUNK_END);
            self.write(chunk).await?;
        }
        self.write(LAST_CHUNK).await
    }

    /// The next text; `None` after the closing message.
    ///
    /// # Errors
    /// When the client is gone.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if self.stream.has_ended() {
            return Ok(None);
        }
        let Self {
            stream,
            task,
            received,
            ..
        } = self;
        tokio::select! {
            // Reading comes first: it opens the wire for direct writes, so that the follower can start direct
            // delivery at once.
            biased;
            gone = poll_fn(|cx| poll_gone(task, received, cx)) => Err(gone),
            event = stream.next_event() => Ok(Some(stream.encode(event))),
            () = tokio::time::sleep_until(self.keep_alive) => {
                self.keep_alive = Instant::now() + KEEP_ALIVE;
                Ok(Some(self.stream.keep_alive()))
            }
        }
    }

    /// Writes the parts without copying them together, since they may be long, and a client may take them slowly. If it
    /// does not take them although its grant has ended, it is cut.
    async fn write(&mut self, mut parts: impl Buf) -> io::Result<()> {
        let Self { stream, task, .. } = self;
        let written = poll_fn(|cx| {
            task.poll_write_with(cx, |wire, cx| {
                while parts.has_remaining() {
                    let mut slices = [IoSlice::new(&[]); PARTS_MAX];
                    let count = parts.chunks_vectored(&mut slices);
                    let written = ready!(wire.poll_write_vectored(cx, &slices[..count]))?;
                    parts.advance(written);
                }
                wire.get()?.poll_flush(cx)
            })
        });
        tokio::select! {
            biased;
            written = written => written,
            () = stream.write_must_end() => {
                self.task.wire().discard_unsent();
                Err(io::ErrorKind::TimedOut.into())
            }
        }
    }

    /// Closes the connection. The client may still be sending.
    async fn disconnect(self) {
        if let Some(wire) = self.task.wire().take_wire() {
            let _: Result<_, _> = tokio::time::timeout(CLOSE_GRACE, linger(wire)).await;
        }
    }
}

/// Resolves when the client is gone. What it sends is discarded, up to a bound: the response's head announced
/// that no other request is answered on this connection.
fn poll_gone(task: &mut WireTask, received: &mut usize, cx: &mut Context<'_>) -> Poll<io::Error> {
    let mut scratch = [0; READ_BYTES];
    loop {
        let mut buf = ReadBuf::new(&mut scratch);
        match ready!(task.poll_read(cx, &mut buf)) {
            Ok(()) if buf.filled().is_empty() => {
                return Poll::Ready(io::ErrorKind::UnexpectedEof.into());
            }
            Ok(()) => *received += buf.filled().len(),
            Err(error) => return Poll::Ready(error),
        }
        if *received > LINGER_BYTES_MAX {
            return Poll::Ready(io::ErrorKind::InvalidData.into());
        }
    }
}
