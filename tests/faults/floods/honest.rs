//! Honest clients beside a flood, on a thread and on addresses of their own.

use std::{
    cell::Cell,
    fmt, io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{
    super::{
        http::{self, Answer, Http},
        server::Server,
        token,
    },
    on_a_thread,
};

/// The customer whose app asks all the time.
pub(super) const CUSTOMER: &str = "alice";
const PAUSE: Duration = Duration::from_millis(5);
/// Between newcomers.
const NEWCOMER_PAUSE: Duration = Duration::from_millis(200);
/// Nobody waits for longer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Honest clients have addresses from here on; those of floods are lower.
const ADDRESSES_FROM: u64 = 30_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Who {
    /// Asks for its snapshot again and again, on one connection.
    Customer,
    /// Opens a session on a connection of its own, without a token.
    Stranger,
    /// Records an event, on a connection of its own.
    Producer,
    /// Asks the second listener whether the server is ready.
    Probe,
}

impl Who {
    pub(super) const ALL: [Self; 4] = [Self::Customer, Self::Stranger, Self::Producer, Self::Probe];
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Customer => "the customer",
            Self::Stranger => "a stranger",
            Self::Producer => "a producer",
            Self::Probe => "a health probe",
        })
    }
}

/// One request of an honest client.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) who: Who,
    pub(super) sent: Instant,
    pub(super) took: Duration,
    /// What went wrong.
    pub(super) fault: Option<String>,
}

/// A customer on a connection that it keeps, and newcomers on new ones, until stopped.
pub(super) struct HonestClients {
    stop: watch::Sender<bool>,
    samples: JoinHandle<Vec<Sample>>,
}

impl HonestClients {
    pub(super) fn start(server: &Server) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (public, admin) = (server.public, server.admin);
        let samples = on_a_thread(move || async move {
            let newcomers = Newcomers {
                seen: Cell::new(ADDRESSES_FROM),
                stopped: stopped.clone(),
            };
            let (customer, strangers, producers, probes) = tokio::join!(
                ask_again_and_again(public, stopped),
                newcomers.open_sessions(public),
                newcomers.record(public),
                newcomers.probe(admin),
            );
            [customer, strangers, producers, probes].concat()
        });
        Self { stop, samples }
    }

    pub(super) async fn stop(self) -> Vec<Sample> {
        self.stop.send_replace(true);
        self.samples.await.unwrap()
    }
}

async fn ask_again_and_again(server: SocketAddr, stopped: watch::Receiver<bool>) -> Vec<Sample> {
    let path = format!("/v1/feeds/{CUSTOMER}");
    let token = token::watcher(CUSTOMER);
    let mut connection = None;
    let mut samples = Vec::new();
    while !*stopped.borrow() {
        let asking = async {
            let http = match &mut connection {
                Some(http) => http,
                None => {
                    let http = Http::connect(server, http::address(ADDRESSES_FROM), &token).await?;
                    connection.insert(http)
                }
            };
            http.get(&path).await
        };
        let sample = sample(Who::Customer, 200, asking).await;
        if sample.fault.is_some() {
            connection = None;
        }
        samples.push(sample);
        sleep(PAUSE).await;
    }
    samples
}

/// Newcomers, each from an address that was never seen.
struct Newcomers {
    seen: Cell<u64>,
    stopped: watch::Receiver<bool>,
}

impl Newcomers {
    async fn open_sessions(&self, server: SocketAddr) -> Vec<Sample> {
        let path = "/socket.io/?EIO=4&transport=polling";
        let opening = async || self.connect(server, "").await?.get(path).await;
        self.arrive(Who::Stranger, 200, opening).await
    }

    async fn record(&self, server: SocketAddr) -> Vec<Sample> {
        let recording = async || {
            let mut http = self.connect(server, &token::producer()).await?;
            let id = self.seen.get().to_string();
            let event = json!({ "id": id, "account": "bob", "amount": "1", "unit": "CNY" });
            let event = event.to_string();
            http.post("/v1/events", "application/json", event.as_bytes())
                .await
        };
        self.arrive(Who::Producer, 201, recording).await
    }

    async fn probe(&self, server: SocketAddr) -> Vec<Sample> {
        let probing = async || self.connect(server, "").await?.get("/health/ready").await;
        self.arrive(Who::Probe, 200, probing).await
    }

    async fn connect(&self, server: SocketAddr, token: &str) -> io::Result<Http> {
        self.seen.set(self.seen.get() + 1);
        Http::connect(server, http::address(self.seen.get()), token).await
    }

    async fn arrive(
        &self,
        who: Who,
        expected: u16,
        asking: impl AsyncFn() -> io::Result<Answer>,
    ) -> Vec<Sample> {
        let mut samples = Vec::new();
        while !*self.stopped.borrow() {
            samples.push(sample(who, expected, asking()).await);
            sleep(NEWCOMER_PAUSE).await;
        }
        samples
    }
}

async fn sample(
    who: Who,
    expected: u16,
    asking: impl Future<Output = io::Result<Answer>>,
) -> Sample {
    let sent = Instant::now();
    let fault = match timeout(PATIENCE, asking).await {
        Ok(Ok(answer)) if answer.status == expected => None,
        Ok(Ok(answer)) => Some(format!("was answered {} {}", answer.status, answer.text())),
        Ok(Err(error)) => Some(format!("got no answer: {error}")),
        Err(_) => Some(format!("got no answer within {PATIENCE:?}")),
    };
    Sample {
        who,
        sent,
        took: sent.elapsed(),
        fault,
    }
}
