/// How much one client may use at a time. Set with [`HubBuilder::quotas`](crate::HubBuilder::quotas).
///
/// Rates are per second, on average: a client that was quiet may use up to ten seconds' worth at once
/// ([`BURST_SECONDS`](Self::BURST_SECONDS)). An address is an IPv4 address or an IPv6 /64; it is known if the server
/// passes on `ConnectInfo<SocketAddr>`, as [`serve()`](crate::serve()) does. A subject is that of a token. Tokens for
/// all accounts belong to backends, whose requests, events and subscriptions are not limited.
///
/// Whoever exceeds one is refused with the code `too_many_requests`: 429 over HTTP, a `connect_error` or an ack over
/// Socket.IO, an error message over WebSocket.
///
/// ```
/// use tallycast::Quotas;
///
/// let quotas = Quotas { request_rate_per_address: 10_000, ..Quotas::default() };
/// ```
#[derive(Clone, Debug)]
pub struct Quotas {
    /// Socket.IO sessions at once from one address, and at most a quarter of all sessions. Default 4,096: a mobile
    /// operator's shared address, and 50 MiB if all are a stranger's.
    pub sessions_per_address_max: usize,
    /// Sessions opened a second from one address. Default 200: it reconnects 4,096 clients within 20 s, and a session
    /// that joins nothing is gone after 10 s.
    pub session_rate_per_address: u32,
    /// Sessions opened a second over one connection. Default 5: a client opens one and keeps it. Connections of
    /// trusted proxies are exempt.
    pub session_rate_per_connection: u32,
    /// Requests a second from one address. A rejected token counts as twenty. Default 2,000: they use up about a
    /// twentieth of a processor.
    pub request_rate_per_address: u32,
    /// Requests a second of one subject, over all transports. Default 500: many devices that poll.
    pub request_rate_per_subject: u32,
    /// Events a second that one subject records. Default 1,000: a device reports one now and then.
    pub event_rate_per_subject: u32,
    /// Events a second that are recorded for one account by tokens that are not for all accounts. Default 1,000.
    pub event_rate_per_account: u32,
    /// Subscriptions at once from one address, over all transports. Default 8,192: twice as many as an address may
    /// have connections, since one Socket.IO connection may have several.
    pub subscriptions_per_address_max: usize,
    /// Subscriptions at once of one subject. Default 2,048: a public board with one token, and 50 MiB.
    pub subscriptions_per_subject_max: usize,
    /// Subscriptions at once to one account. Default 20,000: each update is written to all of them, which takes this
    /// many of them a tenth of a second.
    pub subscriptions_per_account_max: usize,
    /// Bytes of request bodies that are held at once, from all clients. Default 128 MiB: 32 of the largest.
    pub body_bytes_max: usize,
    /// Bytes of request bodies that are held at once from one address, and of one subject. Default 32 MiB: eight of
    /// the largest.
    pub body_bytes_per_client_max: usize,
}

impl Quotas {
    /// How many seconds' worth of a rate a client may use at once.
    pub const BURST_SECONDS: u32 = 10;
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            sessions_per_address_max: 4_096,
            session_rate_per_address: 200,
            session_rate_per_connection: 5,
            request_rate_per_address: 2_000,
            request_rate_per_subject: 500,
            event_rate_per_subject: 1_000,
            event_rate_per_account: 1_000,
            subscriptions_per_address_max: 8_192,
            subscriptions_per_subject_max: 2_048,
            subscriptions_per_account_max: 20_000,
            body_bytes_max: 128 * 1024 * 1024,
            body_bytes_per_client_max: 32 * 1024 * 1024,
        }
    }
}
