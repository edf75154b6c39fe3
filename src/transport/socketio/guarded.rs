//! The stream that the engine gets for a WebSocket: it reads and writes, we keep the time.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    runtime::Handle,
    time::{Sleep, sleep, timeout},
};

use super::{conn::Conn, limits::CLOSE_GRACE, session::Session, stall::Stall, wire::linger};

/// A WebSocket's bytes, guarded: a write that makes no progress for the stall time is an error,
/// and so is a client that does not answer a close frame. Dropping it frees the descriptor.
pub(super) struct Guarded {
    conn: Arc<Conn>,
    session: Weak<Session>,
    stall: Option<Stall>,
    grace: Option<Pin<Box<Sleep>>>,
}

impl Guarded {
    pub(super) fn new(conn: Arc<Conn>, session: &Arc<Session>) -> Self {
        Self {
            conn,
            session: Arc::downgrade(session),
            stall: None,
            grace: None,
        }
    }

    /// Passes a write's result on, unless it has been pending for too long. The engine awaits a
    /// flush outside of any cancellation: without this a client that stops reading stays for ever.
    ///
    /// The engine also ignores that a write failed, and goes on to read: so whatever fails is cut. But
    /// after a close frame of ours writing always fails, and the client gets its time to answer.
    fn unless_stalled<T>(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match result {
            Poll::Ready(Ok(written)) => {
                self.stall = None;
                Poll::Ready(Ok(written))
            }
            Poll::Ready(Err(error)) => {
                if !self.conn.is_closing() {
                    self.conn.cut(error.kind());
                }
                Poll::Ready(Err(error))
            }
            Poll::Pending => {
                let (limit, taken) = (self.conn.write_stall, self.conn.taken());
                let stall = self.stall.get_or_insert_with(|| Stall::new(limit, taken));
                ready!(stall.poll(cx, taken));
                self.conn.cut(io::ErrorKind::TimedOut);
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.conn.is_closing() {
            let grace = this
                .grace
                .get_or_insert_with(|| Box::pin(sleep(CLOSE_GRACE)));
            if grace.as_mut().poll(cx).is_ready() {
                this.conn.kill();
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        this.conn.poll_read(cx, buf)
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = this.conn.poll_write(cx, buf);
        this.unless_stalled(cx, result)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = this.conn.poll_flush(cx);
        this.unless_stalled(cx, result)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = this.conn.poll_shutdown(cx);
        this.unless_stalled(cx, result)
    }
}

impl Drop for Guarded {
    /// Handles of the connection outlive the engine's use of it, so the socket is let go here.
    fn drop(&mut self) {
        let lingering = self.conn.take_for_linger();
        self.conn.kill();
        if let Some(session) = self.session.upgrade() {
            session.leave();
        }
        if let (Some(wire), Ok(runtime)) = (lingering, Handle::try_current()) {
            runtime.spawn(timeout(CLOSE_GRACE, linger(wire)));
        }
    }
}
