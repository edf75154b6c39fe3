//! F5: connections that ask nothing, on a server with few file descriptors.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::{io::AsyncReadExt, sync::watch, task::JoinSet, time::sleep};

use super::{
    super::{Plan, findings::Findings, http},
    Bounds, Flood, nothing, on_a_thread,
};

/// A client that lost its connection opens another one after this.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// The kernel drops connections that come faster than they are accepted, and repeats the attempt after a second. These
/// come in small groups, to fill the server and not the kernel's queue.
const OPENED_AT_ONCE: u32 = 50;
const OPENING_PAUSE: Duration = Duration::from_millis(10);
/// Connections to the second listener, which serves 32 at a time.
const TO_ADMIN: usize = 40;
/// Each of many addresses opens so few that no limit on one address matters.
const OF_AN_ADDRESS: u64 = 10;

pub(crate) async fn run(plan: Plan) -> Findings {
    let mut findings = Findings::default();
    raise_own_limit();
    for idle in [
        Idle::new("ulimit -n 256, one address", 256, 300, false),
        Idle::new("ulimit -n 1024, one address", 1_024, 1_100, false),
        Idle::new("ulimit -n 20000, one address", 20_000, 5_000, false),
        Idle::new("ulimit -n 1024, 110 addresses", 1_024, 1_100, true),
    ] {
        idle.run(&plan, &mut findings).await;
    }
    findings
}

/// The clients' own descriptors are no part of the experiment.
fn raise_own_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

/// Connections that ask nothing, and are opened again when they are closed.
struct Idle {
    name: &'static str,
    /// The server's limit on open files.
    descriptors: u64,
    connections: u64,
    /// Whether they come from many addresses.
    is_spread: bool,
}

impl Idle {
    fn new(name: &'static str, descriptors: u64, connections: u64, is_spread: bool) -> Self {
        Self {
            name,
            descriptors,
            connections,
            is_spread,
        }
    }

    async fn run(&self, plan: &Plan, findings: &mut Findings) {
        let mut flood = Flood::new(self.name, plan, Bounds::default());
        flood.wrapper = self.wrapper();
        let lasts = Duration::from_millis(plan.either(1_500, 10_000));
        let idling = flood.run(findings, nothing, async |server| {
            let (public, admin) = (server.public, server.admin);
            let from = self.addresses();
            let idling = on_a_thread(move || idle_on_all(public, admin, from, lasts));
            idling.await.unwrap()
        });
        let (Opened { opened, closed }, _) = idling.await;
        findings.figure(
            &format!("{}: connections", self.name),
            format!("{opened} opened, {closed} closed by the server"),
        );
        // Otherwise it was no flood.
        let places = self.descriptors.min(self.connections);
        findings.check(opened >= places, || {
            format!("{}: only {opened} connections could be opened", self.name)
        });
    }

    /// Sets the limit on open files, then becomes the server.
    fn wrapper(&self) -> Vec<String> {
        let script = format!(r#"ulimit -n {} && exec "$0" "$@""#, self.descriptors);
        vec!["sh".to_owned(), "-c".to_owned(), script]
    }

    fn addresses(&self) -> Vec<IpAddr> {
        let numbers = 0..self.connections;
        let spread = u64::from(self.is_spread);
        let address = |number| http::address(1 + spread * number / OF_AN_ADDRESS);
        numbers.map(address).collect()
    }
}

/// What became of the connections to the public listener.
#[derive(Debug, Default)]
struct Opened {
    opened: u64,
    closed: u64,
}

async fn idle_on_all(
    public: SocketAddr,
    admin: SocketAddr,
    from: Vec<IpAddr>,
    lasts: Duration,
) -> Opened {
    let (stop, stopped) = watch::channel(false);
    let mut clients = JoinSet::new();
    for from in from.iter().take(TO_ADMIN) {
        clients.spawn_local(idle(admin, *from, stopped.clone()));
    }
    let mut to_public = JoinSet::new();
    for (from, number) in from.into_iter().zip(1..) {
        to_public.spawn_local(idle(public, from, stopped.clone()));
        if number % OPENED_AT_ONCE == 0 {
            sleep(OPENING_PAUSE).await;
        }
    }
    sleep(lasts).await;
    stop.send_replace(true);
    let mut all = Opened::default();
    while let Some(one) = to_public.join_next().await {
        let one = one.unwrap();
        all.opened += one.opened;
        all.closed += one.closed;
    }
    all
}

async fn idle(server: SocketAddr, from: IpAddr, mut stopped: watch::Receiver<bool>) -> Opened {
    let mut seen = Opened::default();
    let idling = async {
        loop {
            if let Ok(mut stream) = http::connect(server, from).await {
                seen.opened += 1;
                // A refusal, and then the end.
                let _ = stream.read_to_end(&mut Vec::new()).await;
                seen.closed += 1;
            }
            sleep(RETRY_PAUSE).await;
        }
    };
    tokio::select! {
        () = idling => {}
        _ = stopped.changed() => {}
    }
    seen
}
