//! The stream that the engine gets for a WebSocket, with our timeouts.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    runtime::Handle,
    time::{Instant, Sleep, sleep, sleep_until, timeout},
};

use super::Session;
use crate::{
    deadline::Deadline,
    transport::{
        limits::CLOSE_GRACE,
        socketio::connection::EngineConnection,
        wire::{WriteStall, linger},
    },
};

/// A WebSocket's byte stream. A write that makes no progress for the stall time is an error, and so is a client that
/// does not answer a close frame. Dropping it frees the descriptor.
///
/// It is not one type with the other two stream wrappers: `websocket`'s has one writer, and `serve`'s also times
/// HTTP's waits.
pub(crate) struct EngineStream<T> {
    connection: Arc<EngineConnection>,
    session: Weak<Session<T>>,
    stall: WriteStall,
    /// Ends the wait for a sign of the client after a ping.
    answer: Deadline,
    grace: Option<Pin<Box<Sleep>>>,
    /// Ends a pause in reading.
    pause: Option<Pin<Box<Sleep>>>,
}

impl<T> EngineStream<T> {
    pub(crate) fn new(connection: Arc<EngineConnection>, session: &Arc<Session<T>>) -> Self {
        Self {
            stall: connection.new_stall(),
            connection,
            session: Arc::downgrade(session),
            answer: Deadline::default(),
            grace: None,
            pause: None,
        }
    }

    /// Whether the client has sent nothing for too long after a ping. Called after each read.
    fn is_client_gone(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(due) = self.connection.answer_due_at() {
            return self.answer.is_over_at(due, cx);
        }
        self.answer.free();
        false
    }

    /// Passes on the result of a write, unless it has been pending for too long. The engine awaits a flush outside of
    /// any cancellation: without this limit a client that stops reading would never be disconnected.
    ///
    /// The engine also ignores a failed write and continues to read, so the connection is cut here. After our close
    /// frame, however, writes always fail, and the client gets its time to answer.
    fn check_write<W>(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<W>>,
    ) -> Poll<io::Result<W>> {
        let was_pending = result.is_pending();
        let taken = if was_pending {
            self.connection.taken()
        } else {
            0
        };
        let result = self.stall.check(cx, result, taken);
        if let Poll::Ready(Err(error)) = &result
            && (was_pending || !self.connection.is_closing())
        {
            self.connection.cut(error.kind());
        }
        result
    }
}

impl<T> AsyncRead for EngineStream<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.connection.is_closing() {
            let grace = this
                .grace
                .get_or_insert_with(|| Box::pin(sleep(CLOSE_GRACE)));
            if grace.as_mut().poll(cx).is_ready() {
                this.connection.kill();
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        let now = Instant::now();
        let read = this.connection.poll_read(cx, buf, now);
        if this.is_client_gone(cx) {
            this.connection.close_unanswered();
        }
        if let Poll::Ready(Err(_)) = &read {
            // The engine writes its close frame before it drops the stream. A client that was told to go gets less time
            // for that than a slow one.
            this.stall = WriteStall::new(CLOSE_GRACE);
        }
        if read.is_pending()
            && let Some(end) = this.connection.reading_resumes_at(now)
        {
            let pause = this.pause.get_or_insert_with(|| Box::pin(sleep_until(end)));
            pause.as_mut().reset(end);
            if pause.as_mut().poll(cx).is_ready() {
                cx.waker().wake_by_ref();
            }
        } else {
            this.pause = None;
        }
        read
    }
}

impl<T> AsyncWrite for EngineStream<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = this.connection.poll_write(cx, buf);
        this.check_write(cx, result)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = this.connection.poll_flush(cx);
        this.check_write(cx, result)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = this.connection.poll_shutdown(cx);
        this.check_write(cx, result)
    }
}

impl<T> Drop for EngineStream<T> {
    /// Handles to the connection outlive the engine's use of it, so the socket is released here.
    fn drop(&mut self) {
        let lingering = self.connection.take_for_linger();
        self.connection.kill();
        if let Some(session) = self.session.upgrade() {
            session.end();
        }
        if let (Some(wire), Ok(runtime)) = (lingering, Handle::try_current()) {
            runtime.spawn(timeout(CLOSE_GRACE, linger(wire)));
        }
    }
}
