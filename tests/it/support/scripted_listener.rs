//! A listener whose connections accept bytes as a script says, and record each write.

use std::{
    collections::HashSet,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use proptest::prelude::*;
use tallycast::Hub;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    task,
    time::{self, timeout},
};

use crate::support::{SOON, host::Host};

/// Packets that only the engine's writer writes: answers to CONNECT and to requests.
const ANSWERS: [&[u8]; 2] = [b"40/feed,{", b"43/feed,"];
/// The start of the first frame that a plain WebSocket's task writes.
const FIRST: &[u8] = br#"{"type":"snapshot""#;
/// The longest header of a frame from the server.
const HEADER_BYTES_MAX: usize = 10;
/// The start of the feed's messages, on Socket.IO and on a plain WebSocket.
const EVENTS: [&[u8]; 2] = [b"42/feed,[", br#"{"type":"update""#];

/// Sizes for [`Script::new`], at least one of them not 0.
pub(crate) fn sizes() -> impl Strategy<Value = Vec<usize>> {
    let size = prop_oneof![3 => 0..40_usize, 2 => 40..2_000_usize, 1 => Just(usize::MAX)];
    prop::collection::vec(size, 1..30).prop_map(|mut sizes| {
        // At least this one accepts bytes.
        sizes.push(700);
        sizes
    })
}

/// How a listener's connections accept bytes. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Script(Arc<Mutex<State>>);

struct State {
    /// The most that each write accepts, used in turn and repeated; 0 means "not now".
    sizes: Vec<usize>,
    writes: usize,
    /// How many more bytes are accepted before all writes wait.
    left: usize,
    closed: usize,
    waiting: Vec<Waker>,
    log: Vec<Logged>,
    /// For each connection the task of the engine's writer, or of the plain WebSocket, once it is known.
    owners: Vec<Option<task::Id>>,
    within: Option<Within>,
}

/// An action to run during a write.
struct Within {
    text: &'static str,
    act: Box<dyn FnOnce() + Send>,
}

struct Logged {
    connection: usize,
    by: Option<task::Id>,
    is_event: bool,
    bytes: Vec<u8>,
}

/// A write that accepted bytes.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    /// Whether another task than the connection's own wrote it: direct delivery.
    pub(crate) is_direct: bool,
    pub(crate) bytes: Vec<u8>,
}

impl Script {
    pub(crate) fn new(sizes: &[usize]) -> Self {
        Self(Arc::new(Mutex::new(State {
            sizes: sizes.to_vec(),
            writes: 0,
            left: usize::MAX,
            closed: 0,
            waiting: Vec::new(),
            log: Vec::new(),
            owners: Vec::new(),
            within: None,
        })))
    }

    /// Accepts every write whole.
    pub(crate) fn willing() -> Self {
        Self::new(&[usize::MAX])
    }

    /// Serves a hub on such a listener.
    pub(crate) async fn serve(&self, hub: Hub) -> Host {
        let router = hub.router();
        Host::embed_on(self.listener().await, hub, router, "")
    }

    pub(crate) async fn listener(&self) -> ScriptedListener {
        ScriptedListener {
            tcp: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            script: self.clone(),
        }
    }

    /// Runs `act` during the next write that contains `text`: the bytes are accepted, and the writer still
    /// holds the connection.
    pub(crate) fn within(&self, text: &'static str, act: impl FnOnce() + Send + 'static) {
        let act = Box::new(act);
        self.0.lock().unwrap().within = Some(Within { text, act });
    }

    /// Accepts this many bytes from now on, then none.
    pub(crate) fn allow(&self, bytes: usize) {
        let mut state = self.0.lock().unwrap();
        state.left = bytes;
        state.waiting.drain(..).for_each(Waker::wake);
    }

    /// Accepts everything from now on, without waking waiting writes.
    pub(crate) fn open_unnoticed(&self) {
        self.0.lock().unwrap().left = usize::MAX;
    }

    fn connection(&self) -> usize {
        let mut state = self.0.lock().unwrap();
        state.owners.push(None);
        state.owners.len() - 1
    }

    /// Whether a write waits and no more bytes are accepted.
    pub(crate) fn is_shut(&self) -> bool {
        let state = self.0.lock().unwrap();
        state.left == 0 && !state.waiting.is_empty()
    }

    pub(crate) async fn until_shut(&self) {
        let shut = async {
            while !self.is_shut() {
                task::yield_now().await;
            }
        };
        timeout(SOON, shut).await.expect("more than is taken");
    }

    /// Accepts a few bytes after each pause, and everything in the end. No connection is cut.
    pub(crate) async fn take_now_and_then(&self, pause: Duration) {
        // Some task is always busy here, so the paused clock moves only by `advance`.
        time::pause();
        for _ in 0..5 {
            time::advance(pause).await;
            self.allow(10);
            while !self.is_shut() {
                assert_eq!(self.closed(), 0, "it is not cut");
                task::yield_now().await;
            }
        }
        time::resume();
        self.allow(usize::MAX);
    }

    /// How many connections the server has dropped.
    fn closed(&self) -> usize {
        self.0.lock().unwrap().closed
    }

    /// All writes so far, to all connections.
    pub(crate) fn log(&self) -> Vec<Write> {
        let state = self.0.lock().unwrap();
        state.log.iter().map(|logged| state.read(logged)).collect()
    }

    pub(crate) fn direct_writes(&self) -> usize {
        self.log().iter().filter(|write| write.is_direct).count()
    }

    /// Whether the same task, or the committing thread, wrote last to each of several connections: then all
    /// of them are on direct delivery.
    pub(crate) fn is_one_dispatching(&self) -> bool {
        let state = self.0.lock().unwrap();
        let last_of = |connection| {
            let mut newest_first = state.log.iter().rev();
            newest_first.find(|logged| logged.connection == connection)
        };
        let writers = (0..state.owners.len()).map(|connection| Some(last_of(connection)?.by));
        let writers: HashSet<_> = writers.collect();
        state.owners.len() > 1 && writers.len() == 1 && !writers.contains(&None)
    }

    /// Whether there is a direct write before the end of this text, and whether there is one after it.
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
    /// How many of `wanted` bytes are accepted now.
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

    fn read(&self, logged: &Logged) -> Write {
        let owner = self.owners[logged.connection];
        Write {
            is_direct: logged.is_event && owner.is_some() && owner != logged.by,
            bytes: logged.bytes.clone(),
        }
    }

    /// Records that `written` of these bytes were accepted.
    fn taken(&mut self, connection: usize, bytes: &[u8], written: usize) {
        if self.left != usize::MAX {
            self.left -= written;
        }
        let by = task::try_id();
        let has = |bytes: &[u8], text: &[u8]| bytes.windows(text.len()).any(|part| part == text);
        let begins = |text: &[u8]| {
            has(
                &bytes[..bytes.len().min(HEADER_BYTES_MAX + text.len())],
                text,
            )
        };
        let owner = &mut self.owners[connection];
        let is_owners = || begins(FIRST) || ANSWERS.into_iter().any(|answer| has(bytes, answer));
        if owner.is_none() && is_owners() {
            *owner = by;
        }
        self.log.push(Logged {
            connection,
            by,
            is_event: EVENTS.into_iter().any(begins),
            bytes: bytes[..written].to_vec(),
        });
    }
}

pub(crate) struct ScriptedListener {
    tcp: TcpListener,
    script: Script,
}

impl axum::serve::Listener for ScriptedListener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (tcp, peer) = self.tcp.accept().await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let script = self.script.clone();
        let number = script.connection();
        let connection = Connection {
            tcp,
            script,
            number,
        };
        (connection, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

pub(crate) struct Connection {
    tcp: TcpStream,
    script: Script,
    number: usize,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.script.0.lock().unwrap().closed += 1;
    }
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
    fn write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.script.0.lock().unwrap();
        let size = std::task::ready!(state.poll_take(cx, bytes.len()));
        let written = std::task::ready!(Pin::new(&mut self.tcp).poll_write(cx, &bytes[..size]))?;
        state.taken(self.number, bytes, written);
        let has = |text: &str| {
            let mut windows = bytes.windows(text.len());
            windows.any(|window| window == text.as_bytes())
        };
        let within = state.within.take_if(|within| has(within.text));
        // Other connections may write meanwhile.
        drop(state);
        if let Some(within) = within {
            (within.act)();
        }
        Poll::Ready(Ok(written))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_shutdown(cx)
    }
}
