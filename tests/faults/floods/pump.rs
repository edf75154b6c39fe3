//! Requests as fast as the server takes them.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt,
    task::JoinSet,
    time::{Instant, sleep, timeout_at},
};

use super::{
    super::http::{Answer, Http},
    on_a_thread,
};

/// A client whose connection is lost waits for this long, so that it does not spin.
const RETRY_PAUSE: Duration = Duration::from_millis(10);

/// Makes the request with this number.
pub(super) type Request = Arc<dyn Fn(u64) -> Vec<u8> + Send + Sync>;

/// Several connections, each with so many requests outstanding.
#[derive(Clone)]
pub(super) struct Pump {
    pub(super) server: SocketAddr,
    /// The address of each connection.
    pub(super) from: Vec<IpAddr>,
    /// How many requests are sent at once, before their answers are read.
    pub(super) depth: u64,
    /// Whether a new connection takes the place of one whose answers are read.
    pub(super) reconnects: bool,
    pub(super) request: Request,
}

/// How requests were answered.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub(super) by_status: BTreeMap<u16, u64>,
    /// Refusals that do not say when to come back.
    pub(super) without_retry_after: u64,
    /// Connections that ended, or could not be opened.
    pub(super) lost: u64,
}

impl Pump {
    /// Asks for this long, on one thread.
    pub(super) async fn run(self, lasts: Duration) -> Answers {
        let pumping = on_a_thread(move || self.pump(Instant::now() + lasts));
        pumping.await.unwrap()
    }

    async fn pump(self, until: Instant) -> Answers {
        let mut connections = JoinSet::new();
        for (from, number) in self.from.iter().zip(0..) {
            // Each has numbers of its own.
            let connection = self.clone().repeat(*from, number << 32, until);
            connections.spawn_local(connection);
        }
        let mut all = Answers::default();
        while let Some(answers) = connections.join_next().await {
            all.add(answers.unwrap());
        }
        all
    }

    async fn repeat(self, from: IpAddr, mut number: u64, until: Instant) -> Answers {
        let mut answers = Answers::default();
        while Instant::now() < until {
            let asking = self.ask(from, &mut number, &mut answers);
            if let Ok(Err(_)) = timeout_at(until, asking).await {
                answers.lost += 1;
                sleep(RETRY_PAUSE).await;
            }
        }
        answers
    }

    /// Asks on one connection.
    async fn ask(
        &self,
        from: IpAddr,
        number: &mut u64,
        answers: &mut Answers,
    ) -> std::io::Result<()> {
        let mut http = Http::connect(self.server, from, "").await?;
        loop {
            let mut requests = Vec::new();
            for _ in 0..self.depth {
                requests.extend((self.request)(*number));
                *number += 1;
            }
            http.stream.write_all(&requests).await?;
            for _ in 0..self.depth {
                answers.count(&http.answer().await?);
            }
            if self.reconnects {
                return Ok(());
            }
        }
    }
}

impl Answers {
    pub(super) fn of(&self, status: u16) -> u64 {
        self.by_status.get(&status).copied().unwrap_or(0)
    }

    /// All but the refusals for being too many.
    pub(super) fn done(&self) -> u64 {
        let done = self.by_status.iter().filter(|(status, _)| **status != 429);
        done.map(|(_, count)| count).sum()
    }

    pub(super) fn add_one(&mut self, status: u16) {
        *self.by_status.entry(status).or_default() += 1;
    }

    fn count(&mut self, answer: &Answer) {
        self.add_one(answer.status);
        let says_when = answer.header("retry-after").is_some();
        self.without_retry_after += u64::from(answer.status == 429 && !says_when);
    }

    pub(super) fn add(&mut self, other: Self) {
        for (status, count) in other.by_status {
            *self.by_status.entry(status).or_default() += count;
        }
        self.without_retry_after += other.without_retry_after;
        self.lost += other.lost;
    }
}

impl std::fmt::Display for Answers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (status, count) in &self.by_status {
            write!(f, "{count} times {status}, ")?;
        }
        write!(f, "{} connections lost", self.lost)
    }
}
