use std::{
    io::{self, Read, Write},
    rc::Rc,
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, net::TcpStream};
#[cfg(target_os = "linux")]
use socket2::SockRef;

use super::{
    Fault, Target, Way,
    poster::Poster,
    watcher::{News, Watcher},
};

/// Handshakes under way at a time: fewer than any server's backlog holds.
const HANDSHAKES_MAX: usize = 64;

/// How long a server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Nothing of what is due came for so long: it is lost.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(30);

/// What one turn takes at most from the kernel's list of what is ready.
const EVENTS_MAX: usize = 1_024;

/// What one read takes: a hundred messages.
const READ_BYTES: usize = 64 * 1024;

/// Tokens from here on are of posters.
const FIRST_POSTER: usize = usize::MAX / 2;

/// All connections to one server, on this thread.
#[derive(Debug)]
pub(crate) struct Fleet {
    target: Target,
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
    watchers: Vec<Line>,
    live: usize,
    posters: Vec<Poster>,
    counts: Counts,
}

#[derive(Debug)]
struct Line {
    stream: TcpStream,
    watcher: Watcher,
}

/// What has come so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    /// Entries that reached a watcher: what is due is counted in these.
    pub(crate) entries: u64,
    /// The messages that they came in.
    pub(crate) messages: u64,
    /// Bytes of those messages: of a WebSocket frame's payload, or of an event's data.
    pub(crate) bytes: u64,
    /// Posts that were answered.
    pub(crate) answers: u64,
}

impl Fleet {
    pub(crate) fn new(target: Target) -> Result<Self, Fault> {
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

    /// Opens a watcher of each account, and returns once all of them follow.
    pub(crate) fn watch(
        &mut self,
        way: Way,
        accounts: impl IntoIterator<Item = String>,
    ) -> Result<(), Fault> {
        let way = Rc::new(way);
        let mut accounts = accounts.into_iter().peekable();
        let mut patience = Patience::default();
        while accounts.peek().is_some() || self.live < self.watchers.len() {
            while self.watchers.len() - self.live < HANDSHAKES_MAX {
                let Some(account) = accounts.next() else {
                    break;
                };
                self.open(&way, account)?;
            }
            self.turn(Duration::ZERO, &mut |_, _| {})?;
            patience.check(self.live as u64, || {
                (self.watchers.len() - self.live) as u64
            })?;
        }
        Ok(())
    }

    /// Opens connections that post, so many at a time.
    pub(crate) fn open_posters(&mut self, count: usize) -> Result<(), Fault> {
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

    /// How many follow.
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
    pub(super) fn post(&mut self, head: &str, body: &str) -> Result<(), Fault> {
        let mut free = self.posters.iter_mut().filter(|poster| !poster.is_busy());
        let poster = free.next().expect("a source asks for room first");
        poster.post(head, body)
    }

    /// Takes what has come; waits at most so long if there is nothing. Tells of each watcher, by its
    /// number, how many entries it got in a message.
    pub(crate) fn turn(
        &mut self,
        wait: Duration,
        got: &mut impl FnMut(usize, u64),
    ) -> Result<(), Fault> {
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
                self.watchers[token].read(&mut self.buffer, &mut |news| match news {
                    News::Live => *live += 1,
                    News::Entries { count, bytes } => {
                        counts.entries += count;
                        counts.messages += 1;
                        counts.bytes += bytes;
                        got(token, count);
                    }
                })?;
            }
        }
        Ok(())
    }

    fn open(&mut self, way: &Rc<Way>, account: String) -> Result<(), Fault> {
        let request = way.request(&self.target, &account);
        let mut stream = self.connect(&request)?;
        let token = Token(self.watchers.len());
        self.poll
            .registry()
            .register(&mut stream, token, Interest::READABLE)?;
        let watcher = Watcher::new(way.clone(), account);
        self.watchers.push(Line { stream, watcher });
        Ok(())
    }

    fn connect(&self, request: &str) -> Result<TcpStream, Fault> {
        let address = self.target.address;
        let stream = std::net::TcpStream::connect_timeout(&address, CONNECT_TIMEOUT);
        let mut stream = stream.map_err(|cause| Fault::Unreachable { address, cause })?;
        stream.set_nodelay(true)?;
        stream.write_all(request.as_bytes())?;
        stream.set_nonblocking(true)?;
        Ok(TcpStream::from_std(stream))
    }
}

impl Line {
    fn read(&mut self, buffer: &mut [u8], news: &mut impl FnMut(News)) -> Result<(), Fault> {
        loop {
            let read = match self.stream.read(buffer) {
                Ok(0) => return Err(Fault::Closed),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            let mut answer = Vec::new();
            self.watcher.read(&buffer[..read], &mut answer, news)?;
            if !answer.is_empty() {
                // A few bytes on a connection that nothing else was written to: there is room.
                self.stream.write_all(&answer)?;
                #[cfg(target_os = "linux")]
                acknowledge_as_a_reader(&self.stream)?;
            }
            // Less than there was room for: the next read would only say that there is no more.
            if read < buffer.len() {
                return Ok(());
            }
        }
    }
}

/// Has the kernel acknowledge what comes when it is read. To a connection that has just answered something, Linux
/// takes what comes next as an answer too, and acknowledges every second segment as soon as it is there: over the
/// loopback that is in the server's own `send`, and on its account. So whoever has joined with a message of its own,
/// or has answered a ping, would cost its server more than others.
#[cfg(target_os = "linux")]
fn acknowledge_as_a_reader(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).set_tcp_quickack(true)
}

/// Gives up once nothing has come for long.
#[derive(Debug)]
pub(super) struct Patience {
    seen: u64,
    since: Instant,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            seen: 0,
            since: Instant::now(),
        }
    }
}

impl Patience {
    /// `seen` grows with whatever comes.
    pub(super) fn check(&mut self, seen: u64, missing: impl FnOnce() -> u64) -> Result<(), Fault> {
        if seen != self.seen {
            self.seen = seen;
            self.since = Instant::now();
            return Ok(());
        }
        let waited = self.since.elapsed();
        match waited > SILENCE_MAX {
            true => Err(Fault::Silent {
                waited,
                missing: missing(),
            }),
            false => Ok(()),
        }
    }
}
