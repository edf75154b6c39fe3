use std::time::Duration;

/// Limits on what clients may use: time, connections and bytes.
///
/// The defaults suit a server that faces the internet without a proxy. Change single fields with
/// `Limits { idle_timeout, ..Limits::default() }`, which also compiles when fields are added.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Time from connecting (or from a later request's first byte) to the end of the request's head.
    /// Default [`HEAD_TIMEOUT`](Self::HEAD_TIMEOUT).
    pub head_timeout: Duration,
    /// Idle time between two requests on a kept-alive connection. Default [`IDLE_TIMEOUT`](Self::IDLE_TIMEOUT).
    pub idle_timeout: Duration,
    /// A request body that makes no progress for this long fails. Default [`BODY_TIMEOUT`](Self::BODY_TIMEOUT).
    pub body_timeout: Duration,
    /// Bytes per second that a request body must average, after a head start of `body_timeout`; 0 for no minimum.
    /// Default [`BODY_RATE_MIN`](Self::BODY_RATE_MIN).
    pub body_rate_min: u32,
    /// A write that makes no progress for this long ends the connection, also after an upgrade.
    /// Default [`WRITE_STALL_TIMEOUT`](Self::WRITE_STALL_TIMEOUT).
    pub write_stall_timeout: Duration,
    /// Connections at once on this listener, upgraded ones included.
    /// Default [`CONNECTIONS_MAX`](Self::CONNECTIONS_MAX).
    pub connections_max: usize,
    /// Connections at once from one IPv4 address or IPv6 /64. `None`, the default, is a quarter of `connections_max`,
    /// and at most [`CONNECTIONS_PER_PEER_MAX`](Self::CONNECTIONS_PER_PEER_MAX).
    pub connections_per_peer_max: Option<usize>,
    /// Bytes of a request's head, at least 8 KiB. Default [`HEAD_BYTES_MAX`](Self::HEAD_BYTES_MAX).
    pub head_bytes_max: usize,
    /// Bytes of a request's URI. Default [`URI_BYTES_MAX`](Self::URI_BYTES_MAX).
    pub uri_bytes_max: usize,
    /// Kernel send buffer of a connection, in bytes; 0 leaves it to the system.
    /// Default [`SEND_BUFFER_BYTES`](Self::SEND_BUFFER_BYTES).
    pub send_buffer_bytes: u32,
    /// How long a graceful shutdown may take. Default [`DRAIN_TIMEOUT`](Self::DRAIN_TIMEOUT).
    pub drain_timeout: Duration,
}

impl Limits {
    /// How long a client may take to send a request's head, the TLS handshake included.
    ///
    /// A phone on a bad link needs a second or two.
    pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

    /// How long a kept-alive connection may be idle between two requests.
    ///
    /// Longer than the 60 s of many load balancers, so that they close first and never send a request into a closing
    /// connection.
    pub const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

    /// How long a request body may make no progress, and the head start it has on
    /// [`BODY_RATE_MIN`](Self::BODY_RATE_MIN).
    pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);

    /// Bytes per second that a request body must average once [`BODY_TIMEOUT`](Self::BODY_TIMEOUT) is over.
    ///
    /// Below the slowest usable link (2G), and far above a client that sends single bytes to hold the connection.
    pub const BODY_RATE_MIN: u32 = 4 * 1024;

    /// How long a write may make no progress: a client that stopped reading is cut after this.
    pub const WRITE_STALL_TIMEOUT: Duration = Duration::from_secs(10);

    /// Connections at once on one listener. For a further one, the connection that has waited for a request the longest
    /// is closed; if none waits, it waits itself.
    pub const CONNECTIONS_MAX: usize = 100_000;

    /// Connections at once from one address, if that is at most a quarter of all. For a further one, the address's
    /// connection that has waited for a request the longest is closed; if none waits, it is answered 429.
    ///
    /// Enough for an office or a mobile operator's shared address, and too few for one machine to use up
    /// [`CONNECTIONS_MAX`](Self::CONNECTIONS_MAX). Behind a proxy every client has the proxy's address: name the
    /// proxy with [`Serve::trusted_proxies`](super::Serve::trusted_proxies), which exempts it.
    pub const CONNECTIONS_PER_PEER_MAX: usize = 4_096;

    /// Bytes of a request's head (and of hyper's read buffer); a longer one is answered 431.
    ///
    /// Room for the longest URI and twice as many headers as browsers and proxies send. An unfinished head is held for
    /// [`HEAD_TIMEOUT`](Self::HEAD_TIMEOUT), and one address may have
    /// [`CONNECTIONS_PER_PEER_MAX`](Self::CONNECTIONS_PER_PEER_MAX) of them: 128 MiB.
    pub const HEAD_BYTES_MAX: usize = 32 * 1024;

    /// Bytes of a request's URI; a longer one is answered 414. A token or two in the query fit.
    pub const URI_BYTES_MAX: usize = 16 * 1024;

    /// How many bytes the kernel may hold for a slow client before our writes wait.
    ///
    /// By default Linux grows this to megabytes per connection. Then a stalled client is noticed late, and a slow one
    /// seems stalled, because the kernel reports room only once a third is free.
    pub const SEND_BUFFER_BYTES: u32 = 64 * 1024;

    /// How long requests under way may take to finish once shutdown has begun; then they are cut.
    pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
}

/// No address gets more than one in so many of all connections, unless it is configured: four machines are needed to
/// use up a listener.
const PEER_SHARE: usize = 4;

impl Limits {
    /// The limit on connections from one address that applies.
    pub(super) fn per_peer_max(&self) -> usize {
        let share = self.connections_max.div_ceil(PEER_SHARE);
        let default = share.min(Self::CONNECTIONS_PER_PEER_MAX);
        self.connections_per_peer_max.unwrap_or(default)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_timeout: Self::HEAD_TIMEOUT,
            idle_timeout: Self::IDLE_TIMEOUT,
            body_timeout: Self::BODY_TIMEOUT,
            body_rate_min: Self::BODY_RATE_MIN,
            write_stall_timeout: Self::WRITE_STALL_TIMEOUT,
            connections_max: Self::CONNECTIONS_MAX,
            connections_per_peer_max: None,
            head_bytes_max: Self::HEAD_BYTES_MAX,
            uri_bytes_max: Self::URI_BYTES_MAX,
            send_buffer_bytes: Self::SEND_BUFFER_BYTES,
            drain_timeout: Self::DRAIN_TIMEOUT,
        }
    }
}
