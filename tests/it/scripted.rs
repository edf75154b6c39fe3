//! A listener whose connections take what a script says, and remember how it was written.

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use tallycast::Hub;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

use super::engine::Host;

/// How a listener's connections take bytes. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Script(Arc<Mutex<State>>);

struct State {
    /// What each write takes at most, one after the other and over again; 0: "not now".
    sizes: Vec<usize>,
    writes: usize,
    /// What may still be taken before everybody waits.
    left: usize,
    waiting: Vec<Waker>,
    log: Vec<Write>,
}

/// A write that took something.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    /// A frame that begins in the first of several slices: that is how the feed writes past the engine, which
    /// has one.
    pub(crate) is_direct: bool,
    pub(crate) bytes: Vec<u8>,
}

impl Script {
    pub(crate) fn new(sizes: &[usize]) -> Self {
        Self(Arc::new(Mutex::new(State {
            sizes: sizes.to_vec(),
            writes: 0,
            left: usize::MAX,
            waiting: Vec::new(),
            log: Vec::new(),
        })))
    }

    /// Whatever is written is taken.
    pub(crate) fn willing() -> Self {
        Self::new(&[usize::MAX])
    }

    /// Serves a hub this way.
    pub(crate) async fn serve(&self, hub: Hub) -> Host {
        let listener = Scripted {
            tcp: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            script: self.clone(),
        };
        let router = hub.router();
        Host::embed_on(listener, hub, router, "")
    }

    /// Takes so many bytes from now on, then nothing.
    pub(crate) fn allow(&self, bytes: usize) {
        let mut state = self.0.lock().unwrap();
        state.left = bytes;
        state.waiting.drain(..).for_each(Waker::wake);
    }

    /// Whether nothing more is taken.
    pub(crate) fn is_shut(&self) -> bool {
        let state = self.0.lock().unwrap();
        state.left == 0 && !state.waiting.is_empty()
    }

    /// What was written so far, to all connections.
    pub(crate) fn log(&self) -> Vec<Write> {
        self.0.lock().unwrap().log.clone()
    }

    pub(crate) fn direct_writes(&self) -> usize {
        self.log().iter().filter(|write| write.is_direct).count()
    }

    /// Whether a direct write stands before the end of this text, and whether one stands behind it.
    pub(crate) fn direct_around(&self, text: &str) -> (bool, bool) {
        let (mut written, mut around) = (Vec::new(), (false, false));
        for write in self.log() {
            let mut windows = written.windows(text.len());
            match windows.any(|window| window == text.as_bytes()) {
                true => around.1 |= write.is_direct,
                false => around.0 |= write.is_direct,
            }
            written.extend(write.bytes);
        }
        around
    }
}

impl State {
    /// How many of `wanted` bytes may be taken now.
    fn poll_take(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<usize> {
        if self.left == 0 {
            self.waiting.push(cx.waker().clone());
            return Poll::Pending;
        }
        let size = self.sizes[self.writes % self.sizes.len()];
        self.writes += 1;
        if size == 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(size.min(wanted).min(self.left))
    }

    fn taken(&mut self, bytes: &[u8], is_direct: bool) {
        if self.left != usize::MAX {
            self.left -= bytes.len();
        }
        let bytes = bytes.to_vec();
        self.log.push(Write { is_direct, bytes });
    }
}

struct Scripted {
    tcp: TcpListener,
    script: Script,
}

impl axum::serve::Listener for Scripted {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (tcp, peer) = self.tcp.accept().await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let script = self.script.clone();
        (Connection { tcp, script }, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

struct Connection {
    tcp: TcpStream,
    script: Script,
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_read(cx, buf)
    }
}

impl Connection {
    fn write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        is_direct: bool,
    ) -> Poll<io::Result<usize>> {
        let mut state = self.script.0.lock().unwrap();
        let size = std::task::ready!(state.poll_take(cx, bytes.len()));
        let written = std::task::ready!(Pin::new(&mut self.tcp).poll_write(cx, &bytes[..size]))?;
        state.taken(&bytes[..written], is_direct);
        Poll::Ready(Ok(written))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().write(cx, bytes, false)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
        let is_frame = slices
            .first()
            .is_some_and(|slice| slice.first() == Some(&0x81));
        self.get_mut().write(cx, &bytes, is_frame)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_shutdown(cx)
    }
}
