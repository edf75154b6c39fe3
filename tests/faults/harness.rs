use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    client::{Client, Transport},
    database_file::StoredEntries,
    findings::Findings,
    http,
    oracle::{Oracle, Watched},
    producer::Producer,
    random::Random,
    server::{Home, Server},
};

/// Everything settles well within this time, or hangs.
const END_MAX: Duration = Duration::from_secs(90);

/// A server's folder, its producers and its clients.
pub(crate) struct Harness {
    pub(crate) home: Home,
    pub(crate) random: Random,
    pub(crate) accounts: Vec<Watched>,
    pub(crate) oracle: Oracle,
    /// The server's address, for clients and for producers.
    pub(crate) for_clients: watch::Sender<Option<SocketAddr>>,
    pub(crate) for_producers: watch::Sender<Option<SocketAddr>>,
    goal: watch::Sender<Option<BTreeMap<String, u64>>>,
    stop: watch::Sender<bool>,
    clients: JoinSet<Client>,
    producers: JoinSet<()>,
}

/// The load that producers make.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) producers: u64,
    pub(crate) batch: u64,
    pub(crate) pause: Duration,
    pub(crate) padding: usize,
}

impl Harness {
    pub(crate) fn new(mut random: Random, accounts: u64) -> Self {
        let home = Home::new();
        Self {
            oracle: Oracle::new(&home.path("oracle.log")),
            home,
            accounts: Watched::some(accounts, &mut random),
            random,
            for_clients: watch::Sender::new(None),
            for_producers: watch::Sender::new(None),
            goal: watch::Sender::new(None),
            stop: watch::Sender::new(false),
            clients: JoinSet::new(),
            producers: JoinSet::new(),
        }
    }

    /// Announces the server's address, or that it is down.
    pub(crate) fn announce(&self, server: Option<&Server>) {
        let place = server.map(|server| server.public);
        self.for_clients.send_replace(place);
        self.for_producers.send_replace(place);
    }

    /// Starts clients, `each` for every account and transport, and returns once all follow: before
    /// the first event, so that each can account for everything that comes.
    pub(crate) async fn begin_clients(&mut self, transports: &[Transport], each: u64, flap: bool) {
        let mut number = 0;
        for account in &self.accounts {
            for transport in transports {
                for _ in 0..each {
                    number += 1;
                    let place = self.for_clients.subscribe();
                    let goal = self.goal.subscribe();
                    let client = Client::new(*transport, account, number, place, goal);
                    self.clients.spawn(client.follow());
                }
            }
        }
        let begun = self.catch_up_to(BTreeMap::new()).await;
        self.goal.send_replace(None);
        for mut client in begun {
            client.flaps = flap.then(|| self.random.split());
            self.clients.spawn(client.follow());
        }
    }

    pub(crate) fn goal(&self) -> watch::Receiver<Option<BTreeMap<String, u64>>> {
        self.goal.subscribe()
    }

    pub(crate) fn begin_producers(&mut self, name: &str, load: Load) {
        for number in 0..load.producers {
            let producer = Producer {
                name: format!("{name}p{number}"),
                accounts: self.accounts.clone(),
                oracle: self.oracle.clone(),
                random: self.random.split(),
                server: self.for_producers.subscribe(),
                from: http::address(number),
                batch: load.batch,
                pause: load.pause,
                padding: load.padding,
            };
            self.producers.spawn(producer.run(self.stop.subscribe()));
        }
    }

    /// Stops the producers once everything that they sent is settled.
    pub(crate) async fn end_producers(&mut self, findings: &mut Findings) {
        self.stop.send_replace(true);
        let producers = std::mem::take(&mut self.producers);
        if timeout(END_MAX, producers.join_all()).await.is_err() {
            findings.fault("events never settled");
        }
        self.stop.send_replace(false);
    }

    /// The clients, once they have everything that was acknowledged, or gave up.
    pub(crate) async fn end_clients(&mut self) -> Vec<Client> {
        self.catch_up_to(self.oracle.heads()).await
    }

    /// The clients of a server that has stopped, as they are.
    pub(crate) async fn take_clients(&mut self) -> Vec<Client> {
        // A client returns if its server will not come back.
        self.for_clients = watch::Sender::new(None);
        std::mem::take(&mut self.clients).join_all().await
    }

    async fn catch_up_to(&mut self, heads: BTreeMap<String, u64>) -> Vec<Client> {
        self.goal.send_replace(Some(heads));
        let clients = std::mem::take(&mut self.clients);
        clients.join_all().await
    }

    /// Compares the oracle, the file and what the clients hold.
    pub(crate) fn compare(&self, clients: &[Client], findings: &mut Findings) {
        let stored = StoredEntries::read(&self.home, findings);
        self.oracle.compare(&stored, findings);
        for client in clients {
            client.fold.compare(&stored, findings);
        }
        findings.faults(self.home.panics());
    }

    /// Checks that each account's head in the API agrees with the oracle and is not behind it.
    pub(crate) async fn compare_api(&self, server: &Server, findings: &mut Findings) {
        for (account, head) in self.oracle.heads() {
            let told = async {
                let mut http = server.watcher(&account).await.ok()?;
                let answer = http.get(&format!("/v1/feeds/{account}")).await.ok()?;
                answer.json()["offset"].as_u64()
            };
            let told = told.await;
            findings.check(told == Some(head), || {
                format!("{account}: the API is at {told:?}, {head} was acknowledged")
            });
        }
    }
}

/// Counts how the clients were cut.
pub(crate) fn figures_of(clients: &[Client], findings: &mut Findings) {
    let mut cuts: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut sessions, mut messages) = (0, 0);
    for client in clients {
        sessions += client.fold.sessions;
        messages += client.fold.messages;
        for (how, count) in &client.cuts {
            *cuts.entry(how).or_default() += count;
        }
    }
    let cuts: Vec<String> = cuts
        .iter()
        .map(|(how, count)| format!("{count} {how}"))
        .collect();
    findings.figure(
        "clients, connections, messages",
        format!("{}, {sessions}, {messages}", clients.len()),
    );
    findings.figure("connections ended", cuts.join(", "));
}

/// Waits until `done`, checking every 20 ms; returns how long it took, or none after `limit`.
pub(crate) async fn wait_until(
    limit: Duration,
    mut done: impl AsyncFnMut() -> bool,
) -> Option<Duration> {
    let started = std::time::Instant::now();
    loop {
        if done().await {
            return Some(started.elapsed());
        }
        if started.elapsed() > limit {
            return None;
        }
        sleep(Duration::from_millis(20)).await;
    }
}
