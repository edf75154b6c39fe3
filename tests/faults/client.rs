//! Clients of a feed, written by hand so that they can be cut at any point.

use std::{
    collections::BTreeMap,
    fmt, io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    fold::Fold,
    http::{self, Http},
    oracle::{Watched, Whereabouts},
    random::Random,
    socketio, token,
};

/// How long a client may take to catch up once it is no longer cut.
const CATCH_UP_MAX: Duration = Duration::from_secs(20);
/// A connection that is not cut lasts longer than any experiment.
const STEADY: Duration = Duration::from_secs(3_600);
/// The pause of a polling client.
const LONG_NAP: Duration = Duration::from_millis(1_500);
const RECONNECT_PAUSE: Duration = Duration::from_millis(20);

/// The transports of a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    SocketIoWebSocket,
    SocketIoPolling,
    SocketIoUpgrade,
    Polling,
    LongPolling,
}

impl Transport {
    pub(crate) const ALL: [Self; 5] = [
        Self::SocketIoWebSocket,
        Self::SocketIoPolling,
        Self::SocketIoUpgrade,
        Self::Polling,
        Self::LongPolling,
    ];
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SocketIoWebSocket => "Socket.IO WebSocket",
            Self::SocketIoPolling => "Socket.IO polling",
            Self::SocketIoUpgrade => "Socket.IO upgrade",
            Self::Polling => "polling",
            Self::LongPolling => "long polling",
        })
    }
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// A reset: `SO_LINGER` of 0.
    Reset,
    /// A FIN, and no more reading.
    Fin,
    /// In the middle of an upgrade or a request.
    Halfway,
}

/// The offsets at which the clients are done; none while events flow.
pub(crate) type Goal = watch::Receiver<Option<BTreeMap<String, u64>>>;

/// How long a connection lasts: until it is to be cut, or until the goal changes.
pub(crate) struct Patience {
    until: Instant,
    goal: Goal,
}

impl Patience {
    /// The output of `future`, unless patience ends first; then `future` is dropped.
    pub(crate) async fn wait<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = sleep_until(self.until) => None,
            _ = self.goal.changed() => None,
            value = future => Some(value),
        }
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.until || self.goal.has_changed().unwrap_or(true)
    }
}

/// One customer's app.
pub(crate) struct Client {
    pub(crate) transport: Transport,
    pub(crate) fold: Fold,
    pub(crate) server: Whereabouts,
    pub(crate) goal: Goal,
    pub(crate) from: IpAddr,
    pub(crate) token: String,
    /// Cut repeatedly, or not at all.
    pub(crate) flaps: Option<Random>,
    /// An occasional pause before it reads.
    pub(crate) nap: Duration,
    /// Counted by how they ended.
    pub(crate) cuts: BTreeMap<&'static str, u64>,
}

impl Client {
    pub(crate) fn new(
        transport: Transport,
        account: &Watched,
        number: u64,
        server: Whereabouts,
        goal: Goal,
    ) -> Self {
        let who = format!("client {number} of {} by {transport}", account.name);
        Self {
            transport,
            fold: Fold::new(who, account.clone()),
            server,
            goal,
            from: http::address(1_000 + number),
            // Those that poll ask as fast as they are answered.
            token: token::one_watcher_of(&account.name, number),
            flaps: None,
            nap: Duration::ZERO,
            cuts: BTreeMap::new(),
        }
    }

    /// Follows until it has reached its goal, through all cuts and restarts.
    pub(crate) async fn follow(mut self) -> Self {
        let mut deadline = None;
        loop {
            if self.is_done() {
                return self;
            }
            let is_over = self.goal.borrow().is_some();
            let end = *deadline.get_or_insert_with(|| Instant::now() + CATCH_UP_MAX);
            if !is_over {
                deadline = None;
            } else if Instant::now() > end {
                self.fold.fault(format!(
                    "it did not catch up, it is at {}",
                    self.fold.offset
                ));
                return self;
            }
            let server = *self.server.borrow_and_update();
            let Some(server) = server else {
                if self.server.changed().await.is_err() {
                    return self;
                }
                continue;
            };
            let until = Instant::now() + self.patience(is_over);
            let until = if is_over { until.min(end) } else { until };
            let mut goal = self.goal.clone();
            goal.mark_unchanged();
            let cut = self.choose_cut(is_over);
            if is_over == self.goal.borrow().is_some() {
                self.session(server, Patience { until, goal }, cut).await;
            }
            sleep(RECONNECT_PAUSE).await;
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        let goal = self.goal.borrow();
        let head = goal
            .as_ref()
            .map(|goal| goal.get(&self.fold.account.name).copied());
        head.is_some_and(|head| {
            self.fold.offset >= head.unwrap_or(0) && self.fold.position.is_some()
        })
    }

    fn patience(&mut self, is_over: bool) -> Duration {
        match &mut self.flaps {
            Some(random) if !is_over => {
                // After a pause this long, more is waiting than the server buffers.
                if self.transport == Transport::SocketIoPolling && random.one_in(2) {
                    self.nap = LONG_NAP;
                    return LONG_NAP + random.millis(50, 500);
                }
                let patience = random.millis(50, 500);
                self.nap = if random.one_in(4) {
                    patience / 2
                } else {
                    Duration::ZERO
                };
                patience
            }
            _ => {
                self.nap = Duration::ZERO;
                STEADY
            }
        }
    }

    fn choose_cut(&mut self, is_over: bool) -> Cut {
        match &mut self.flaps {
            Some(random) if !is_over => match random.below(5) {
                0 | 1 => Cut::Reset,
                2 | 3 => Cut::Fin,
                // A client without a position needs a snapshot of the beginning.
                _ if self.fold.position.is_some() => Cut::Halfway,
                _ => Cut::Reset,
            },
            _ => Cut::Fin,
        }
    }

    /// One connection, from open to cut.
    async fn session(&mut self, server: SocketAddr, mut patience: Patience, cut: Cut) {
        self.fold.sessions += 1;
        let until = &mut patience;
        let ended = match self.transport {
            Transport::SocketIoWebSocket => socketio::websocket(self, server, until, cut).await,
            Transport::SocketIoPolling => socketio::polling(self, server, until, cut).await,
            Transport::SocketIoUpgrade => socketio::upgrade(self, server, until, cut).await,
            Transport::Polling => self.poll(server, until, cut, "").await,
            Transport::LongPolling => self.poll(server, until, cut, "&wait=20").await,
        };
        let how = match (ended, cut) {
            // The server went away, or closed.
            (Err(_), _) => "by the server",
            (Ok(()), Cut::Reset) => "reset",
            (Ok(()), Cut::Fin) => "fin",
            (Ok(()), Cut::Halfway) => "halfway",
        };
        *self.cuts.entry(how).or_default() += 1;
    }

    /// Repeated `GET /v1/feeds/{account}?after=`.
    async fn poll(
        &mut self,
        server: SocketAddr,
        patience: &mut Patience,
        cut: Cut,
        wait: &str,
    ) -> io::Result<()> {
        let mut http = Http::connect(server, self.from, &self.token).await?;
        let path = format!("/v1/feeds/{}", self.fold.account.name);
        while !patience.is_over() && !self.is_done() {
            let path = match &self.fold.position {
                Some(position) => format!("{path}?after={}{wait}", escape(position)),
                None => path.clone(),
            };
            let Some(answer) = patience.wait(http.get(&path)).await else {
                break;
            };
            let answer = answer?;
            self.fold.watch(&answer.body);
            match answer.status {
                200 => self.fold.apply(&answer.json()),
                204 => sleep(Duration::from_millis(20)).await,
                503 => return Err(io::ErrorKind::ConnectionAborted.into()),
                status => self.fold.fault(format!("{status}: {}", answer.text())),
            }
        }
        if cut == Cut::Halfway {
            let head = http.head("GET", &path, "text/plain", 0);
            http.stream
                .write_all(&head.as_bytes()[..head.len() / 2])
                .await?;
        }
        end(http.stream, cut).await
    }
}

/// Ends a connection on purpose.
pub(crate) async fn end(mut stream: TcpStream, cut: Cut) -> io::Result<()> {
    if cut == Cut::Fin {
        stream.shutdown().await?;
        // Reads and discards the rest: unread bytes would turn the close into a reset.
        let mut rest = Vec::new();
        let _ = timeout(Duration::from_millis(50), stream.read_to_end(&mut rest)).await;
    } else {
        stream.set_zero_linger()?;
    }
    Ok(())
}

/// A position, for a query.
fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
