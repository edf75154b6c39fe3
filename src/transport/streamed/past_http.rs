//! A response that its task writes to the connection by itself, chunk by chunk, once HTTP has written the head.

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

use super::{KEEP_ALIVE, Stage, Streaming, Writes, count};
use crate::{
    feed::{Encoding, Message},
    transport::{
        Transports,
        farewell::Farewell,
        limits::{CLOSE_GRACE, LINGER_BYTES_MAX},
        shared_wire::{PastTask, TaskEnd},
        wire::{Wire, linger},
    },
};

/// The end of a chunk, and of a body (RFC 9112, section 7.1).
const END: &[u8] = b"\r\n";
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// What is written at once has at most so many parts: a size, what comes before the first text, a text, and the end.
const PARTS_MAX: usize = 4;

/// What one read takes of what a client sends, which has nothing to say any more.
const READ_BYTES: usize = 64;

/// Messages as `W` writes them, in a chunk of a body.
struct Chunks<W>(PhantomData<fn() -> W>);

impl<W: Writes + Default> Encoding for Chunks<W> {
    fn encode(messages: &[Message]) -> Bytes {
        let writes = W::default();
        let texts: Vec<Bytes> = messages.iter().map(|m| writes.written(m)).collect();
        let size = size(texts.iter().map(Bytes::len).sum());
        let parts = iter::once(&*size).chain(texts.iter().map(|text| &**text));
        let parts: Vec<&[u8]> = parts.chain([END]).collect();
        parts.concat().into()
    }
}

/// What stands before a chunk of this length (RFC 9112, section 7.1).
fn size(length: usize) -> Bytes {
    format!("{length:x}\r\n").into()
}

/// The task of such a response.
pub(super) struct PastHttp<W> {
    streaming: Streaming<W>,
    end: TaskEnd,
    /// When a sign of life is due.
    keep_alive: Instant,
    /// What the client has sent.
    heard: usize,
}

impl<W: Writes + Default> PastHttp<W> {
    pub(super) fn new(streaming: Streaming<W>, wire: Wire, transports: &Transports) -> Self {
        let end = TaskEnd::new(wire, transports.timing.write_stall);
        let past_task = PastTask::<Chunks<W>>::new(Arc::clone(end.wire()));
        Self {
            streaming: streaming.riding(past_task),
            end,
            keep_alive: Instant::now() + KEEP_ALIVE,
            heard: 0,
        }
    }

    /// Writes until the client is gone, or has been told why it has to go.
    pub(super) async fn run(mut self) {
        match self.write_all().await {
            Ok(()) => Box::pin(self.leave()).await,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => count(Farewell::Slow),
            Err(_) => {}
        }
    }

    async fn write_all(&mut self) -> io::Result<()> {
        // It leaves with the first message.
        let mut before = self.streaming.writes.prelude();
        while let Some(text) = self.next().await? {
            let text = std::mem::take(&mut before).chain(text);
            let chunk = size(text.remaining()).chain(text).chain(END);
            self.write(chunk).await?;
        }
        self.write(LAST_CHUNK).await
    }

    /// What comes next; `None` after the last word. An error when the client has gone.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if let Stage::Ends = self.streaming.stage {
            return Ok(None);
        }
        let Self {
            streaming,
            end,
            heard,
            ..
        } = self;
        tokio::select! {
            // Whoever reads can be written past: then the follower rides at once.
            biased;
            gone = poll_fn(|cx| poll_gone(end, heard, cx)) => Err(gone),
            told = streaming.follower.next() => Ok(Some(streaming.text(told))),
            () = tokio::time::sleep_until(self.keep_alive) => {
                self.keep_alive = Instant::now() + KEEP_ALIVE;
                Ok(Some(self.streaming.writes.keep_alive()))
            }
        }
    }

    /// The parts are not copied together: they may be long, and wait for a client that does not read.
    async fn write(&mut self, mut parts: impl Buf) -> io::Result<()> {
        poll_fn(|cx| {
            self.end.poll_write_with(cx, |wire, cx| {
                while parts.has_remaining() {
                    let mut slices = [IoSlice::new(&[]); PARTS_MAX];
                    let count = parts.chunks_vectored(&mut slices);
                    let written = ready!(wire.poll_write_vectored(cx, &slices[..count]))?;
                    parts.advance(written);
                }
                wire.get()?.poll_flush(cx)
            })
        })
        .await
    }

    /// Closes; the client may still be sending.
    async fn leave(self) {
        if let Some(wire) = self.end.wire().take_wire() {
            let _: Result<_, _> = tokio::time::timeout(CLOSE_GRACE, linger(wire)).await;
        }
    }
}

/// Resolves when the client has gone. What it sends is thrown away, up to a bound; no other request can be answered
/// here, as the head has said.
fn poll_gone(end: &mut TaskEnd, heard: &mut usize, cx: &mut Context<'_>) -> Poll<io::Error> {
    let mut scratch = [0; READ_BYTES];
    loop {
        let mut buf = ReadBuf::new(&mut scratch);
        match ready!(end.poll_read(cx, &mut buf)) {
            Ok(()) if buf.filled().is_empty() => {
                return Poll::Ready(io::ErrorKind::UnexpectedEof.into());
            }
            Ok(()) => *heard += buf.filled().len(),
            Err(error) => return Poll::Ready(error),
        }
        if *heard > LINGER_BYTES_MAX {
            return Poll::Ready(io::ErrorKind::InvalidData.into());
        }
    }
}
