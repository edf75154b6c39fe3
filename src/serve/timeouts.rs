use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::activity::{Activity, Phase};
use super::limits::Limits;
use super::slots::Slot;
use crate::deadline::Deadline;

/// How long a closing connection still reads what the client sends.
///
/// Closing a socket with unread input makes the kernel send a reset, which can destroy a response such as 413 before
/// the client has read it.
const LINGER: Duration = Duration::from_secs(1);

/// How many bytes a closing connection still reads: enough for a body that was somewhat too large.
const LINGER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A TCP stream with timeouts: for a request's head, for the next request, and for a client that stopped reading.
pub(super) struct TimeoutStream {
    tcp: TcpStream,
    slot: Slot,
    activity: Arc<Activity>,
    wait: HeadWait,
    write_stall_timeout: Duration,
    write: Deadline,
    linger: Linger,
}

/// The wait for a request's head: one deadline for its first byte, another for its last.
struct HeadWait {
    head_timeout: Duration,
    idle_timeout: Duration,
    answers: u64,
    has_begun: bool,
    over_at: Instant,
    deadline: Deadline,
}

#[derive(Default)]
struct Linger {
    bytes: usize,
    deadline: Deadline,
}

impl TimeoutStream {
    pub(super) fn new(
        tcp: TcpStream,
        slot: Slot,
        activity: Arc<Activity>,
        limits: &Limits,
    ) -> Self {
        Self {
            tcp,
            slot,
            activity,
            wait: HeadWait {
                head_timeout: limits.head_timeout,
                idle_timeout: limits.idle_timeout,
                answers: 0,
                // A client connects to send a request, so a new connection gets no idle time.
                has_begun: true,
                over_at: Instant::now() + limits.head_timeout,
                deadline: Deadline::default(),
            },
            write_stall_timeout: limits.write_stall_timeout,
            write: Deadline::default(),
            linger: Linger::default(),
        }
    }

    pub(super) fn activity(&self) -> &Activity {
        &self.activity
    }

    pub(super) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// A head has begun with bytes that were read earlier, along with the request before it.
    pub(super) fn head_has_begun(&mut self) {
        if let Phase::AwaitsHead(answers) = self.activity.phase() {
            self.wait.begin(answers);
        }
    }

    pub(super) fn into_parts(self) -> (TcpStream, Slot) {
        self.slot.was_upgraded();
        (self.tcp, self.slot)
    }

    /// Passes on the result of a write, or fails once nothing has been written for too long. This is not `WriteStall`
    /// of the transports, since `serve` depends on none of these modules.
    fn check_write<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.write.disarm();
            return written;
        }
        if !self.write.is_over_after(self.write_stall_timeout, cx) {
            return Poll::Pending;
        }
        // An orderly close would wait behind the bytes that the client does not read.
        let _ = self.tcp.set_zero_linger();
        Poll::Ready(Err(timed_out("the client has stopped reading")))
    }
}

impl AsyncRead for TimeoutStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = Pin::new(&mut this.tcp).poll_read(cx, buffer);
        match this.activity.phase() {
            Phase::AwaitsHead(answers) => {
                if read.is_pending() {
                    this.activity.register_reader(cx);
                    if this.activity.gives_way() {
                        return Poll::Ready(Err(timed_out("it gave way to a new connection")));
                    }
                }
                this.wait.check(answers, read, cx)
            }
            Phase::Answers => {
                this.activity.register_reader(cx);
                read
            }
            Phase::Upgraded => {
                this.wait.deadline.free();
                read
            }
        }
    }
}

impl HeadWait {
    fn begin(&mut self, answers: u64) {
        self.answers = answers;
        self.has_begun = true;
        self.over_at = Instant::now() + self.head_timeout;
    }

    fn check(
        &mut self,
        answers: u64,
        read: Poll<io::Result<()>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.answers != answers {
            self.answers = answers;
            self.has_begun = false;
            self.over_at = Instant::now() + self.idle_timeout;
        }
        if read.is_ready() {
            if !self.has_begun {
                self.begin(answers);
            }
            return read;
        }
        if self.deadline.is_over_at(self.over_at, cx) {
            return Poll::Ready(Err(timed_out("no request came in time")));
        }
        Poll::Pending
    }
}

impl AsyncWrite for TimeoutStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.tcp).poll_write(cx, bytes);
        this.check_write(written, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.tcp).poll_write_vectored(cx, slices);
        this.check_write(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.tcp).poll_shutdown(cx))?;
        // A connection that gives way has no answer under way that a reset could destroy.
        if this.activity.phase() == Phase::Upgraded || this.activity.gives_way() {
            return Poll::Ready(Ok(()));
        }
        this.linger.poll(&mut this.tcp, cx).map(Ok)
    }
}

impl Linger {
    /// Reads and discards until the client closes, or the time or the bytes are used up.
    fn poll(&mut self, tcp: &mut TcpStream, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0; 4096];
        while self.bytes < LINGER_BYTES_MAX {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut *tcp).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.bytes += buffer.filled().len();
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending if self.deadline.is_over_after(LINGER, cx) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }
}

fn timed_out(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, why)
}
