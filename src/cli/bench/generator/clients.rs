use std::{
    io::{self, Read, Write},
    rc::Rc,
    time::Duration,
};

use mio::{Events, Interest, Poll, Token, net::TcpStream};
#[cfg(target_os = "linux")]
use socket2::SockRef;

use super::{
    error::BenchError,
    poster::Poster,
    protocol::WatchProtocol,
    silence::SilenceTimeout,
    target_server::TargetServer,
    watcher::{BenchWatcher, Received},
};

/// Handshakes in progress at a time: fewer than any server's backlog holds.
const HANDSHAKES_MAX: usize = 64;

/// How long a server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The most readiness events that one poll takes.
const EVENTS_MAX: usize = 1_024;

/// The most bytes that one read takes: about a hundred messages.
const READ_BYTES: usize = 64 * 1024;

/// Tokens from this one on belong to posters.
const FIRST_POSTER: usize = usize::MAX / 2;

/// All connections to one server, on this thread.
#[derive(Debug)]
pub(crate) struct Clients {
    target: TargetServer,
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
    watchers: Vec<WatcherConnection>,
    live: usize,
    posters: Vec<Poster>,
    counts: Counts,
}

#[derive(Debug)]
struct WatcherConnection {
    stream: TcpStream,
    watcher: BenchWatcher,
}

/// What has arrived so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    /// Entries that arrived, each at one watcher. Deliveries are counted in these.
    pub(crate) entries: u64,
    /// The messages that carried them.
    pub(crate) messages: u64,
    /// The bytes of those messages: a WebSocket frame's payload, or an SSE event's data.
    pub(crate) bytes: u64,
    /// Posts that were answered.
    pub(crate) answers: u64,
}

impl Clients {
    pub(crate) fn new(target: TargetServer) -> Result<Self, BenchError> {
        Ok(Self {
            target,
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS_MAX),
            buffer: vec![0; READ_BYTES],
            watchers: Vec::new(),
            live: 0,
            posters: Vec::new(),
            counts: Counts::default(),
        })
    }

    /// Opens a watcher for each account, and returns once all of them are live.
    pub(crate) fn watch(
        &mut self,
        protocol: WatchProtocol,
        accounts: impl IntoIterator<Item = String>,
    ) -> Result<(), BenchError> {
        let protocol = Rc::new(protocol);
        let mut accounts = accounts.into_iter().peekable();
        let mut silence = SilenceTimeout::default();
        while accounts.peek().is_some() || self.live < self.watchers.len() {
            while self.watchers.len() - self.live < HANDSHAKES_MAX {
                let Some(account) = accounts.next() else {
                    break;
                };
                self.open(&protocol, account)?;
            }
            self.poll(Duration::ZERO, &mut |_, _| {})?;
            silence.check(self.live as u64, || {
                (self.watchers.len() - self.live) as u64
            })?;
        }
        Ok(())
    }

    /// Opens `count` connections that post events.
    pub(crate) fn open_posters(&mut self, count: usize) -> Result<(), BenchError> {
        for _ in 0..count {
            let token = Token(FIRST_POSTER + self.posters.len());
            let interest = Interest::READABLE | Interest::WRITABLE;
            let mut stream = self.connect("")?;
            self.poll
                .registry()
                .register(&mut stream, token, interest)?;
            self.posters.push(Poster::new(stream));
        }
        Ok(())
    }

    /// The number of watchers.
    pub(crate) fn watchers(&self) -> u64 {
        self.watchers.len() as u64
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    pub(super) fn has_free_poster(&self) -> bool {
        self.posters.iter().any(|poster| !poster.is_busy())
    }

    pub(super) fn has_busy_poster(&self) -> bool {
        self.posters.iter().any(Poster::is_busy)
    }

    /// Sends a request on a free connection.
    pub(super) fn post(&mut self, head: &str, body: &str) -> Result<(), BenchError> {
        let mut free = self.posters.iter_mut().filter(|poster| !poster.is_busy());
        let poster = free.next().expect("a source checks for a free one first");
        poster.post(head, body)
    }

    /// Reads what has arrived, and waits up to `wait` if there is nothing. Calls `received` for each message
    /// with the watcher's number and the number of entries.
    pub(crate) fn poll(
        &mut self,
        wait: Duration,
        received: &mut impl FnMut(usize, u64),
    ) -> Result<(), BenchError> {
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            polled => polled?,
        }
        for event in &self.events {
            let Token(token) = event.token();
            if let Some(poster) = token.checked_sub(FIRST_POSTER) {
                let poster = &mut self.posters[poster];
                poster.write()?;
                let is_answered = poster.read(&mut self.buffer)?;
                self.counts.answers += u64::from(is_answered);
            } else {
                let (live, counts) = (&mut self.live, &mut self.counts);
                self.watchers[token].read(&mut self.buffer, &mut |message| match message {
                    Received::Live => *live += 1,
                    Received::Entries { count, bytes } => {
                        counts.entries += count;
                        counts.messages += 1;
                        counts.bytes += bytes;
                        received(token, count);
                    }
                })?;
            }
        }
        Ok(())
    }

    fn open(&mut self, protocol: &Rc<WatchProtocol>, account: String) -> Result<(), BenchError> {
        let request = protocol.request(&self.target, &account);
        let mut stream = self.connect(&request)?;
        let token = Token(self.watchers.len());
        self.poll
            .registry()
            .register(&mut stream, token, Interest::READABLE)?;
        let watcher = BenchWatcher::new(protocol.clone(), account);
        self.watchers.push(WatcherConnection { stream, watcher });
        Ok(())
    }

    fn connect(&self, request: &str) -> Result<TcpStream, BenchError> {
        let address = self.target.address;
        let stream = std::net::TcpStream::connect_timeout(&address, CONNECT_TIMEOUT);
        let mut stream = stream.map_err(|cause| BenchError::Unreachable { address, cause })?;
        stream.set_nodelay(true)?;
        stream.write_all(request.as_bytes())?;
        stream.set_nonblocking(true)?;
        Ok(TcpStream::from_std(stream))
    }
}

impl WatcherConnection {
    fn read(
        &mut self,
        buffer: &mut [u8],
        received: &mut impl FnMut(Received),
    ) -> Result<(), BenchError> {
        loop {
            let read = match self.stream.read(buffer) {
                Ok(0) => return Err(BenchError::Closed),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            let mut answer = Vec::new();
            self.watcher.read(&buffer[..read], &mut answer, received)?;
            if !answer.is_empty() {
                // A few bytes on a connection with nothing else in flight: the kernel's buffer has space.
                self.stream.write_all(&answer)?;
                #[cfg(target_os = "linux")]
                acknowledge_on_read(&self.stream)?;
            }
            // A short read: the next one would only return `WouldBlock`.
            if read < buffer.len() {
                return Ok(());
            }
        }
    }
}

/// Makes the kernel acknowledge data when it is read. After a connection has sent something, Linux treats what
/// arrives as the reply, and acknowledges every second segment at once: over loopback that happens within the
/// server's own `send`, and counts as the server's processor time. Without this, watchers that send a message to
/// join, or answer a ping, would cost their server more than others.
#[cfg(target_os = "linux")]
fn acknowledge_on_read(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).set_tcp_quickack(true)
}
