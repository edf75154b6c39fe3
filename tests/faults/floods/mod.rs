//! F1 to F6: what one hostile client can cost. Each flood has a server of its own, beside which honest clients of
//! other addresses measure what they notice.

mod bodies;
mod cost;
mod heavy_reads;
mod honest;
mod idle_connections;
mod pings;
mod pump;
mod rejections;
mod sessions;

use std::time::Duration;

use serde_json::json;
use tokio::{
    runtime::Builder,
    task::{JoinHandle, LocalSet, spawn_blocking},
};

use super::{
    Plan,
    findings::Findings,
    http::{self, Http},
    server::{Home, Server},
    token,
};
use cost::{Bounds, Cost};
use honest::{CUSTOMER, HonestClients};

pub(crate) use bodies::run as bodies;
pub(crate) use heavy_reads::run as heavy_reads;
pub(crate) use idle_connections::run as idle_connections;
pub(crate) use pings::run as pings;
pub(crate) use rejections::run as rejections;
pub(crate) use sessions::run as sessions;

/// Whose token the floods have, if they have one.
const STRANGER: &str = "mallory";
/// The events of the honest customer, so that a snapshot is as long as usual.
const CUSTOMERS_EVENTS: u64 = 20;
/// The server and the clients settle before anything is measured.
const SETTLING: Duration = Duration::from_millis(200);

/// One flood against a server of its own.
struct Flood<'a> {
    name: &'a str,
    plan: &'a Plan,
    /// The program that starts the server, as for [`Server::start_under`].
    wrapper: Vec<String>,
    bounds: Bounds,
}

impl<'a> Flood<'a> {
    fn new(name: &'a str, plan: &'a Plan, bounds: Bounds) -> Self {
        Self {
            name,
            plan,
            wrapper: Vec::new(),
            bounds,
        }
    }

    /// Prepares a server, measures it at rest and then during `flood`, and checks the bounds.
    async fn run<T>(
        self,
        findings: &mut Findings,
        prepare: impl AsyncFnOnce(&Server),
        flood: impl AsyncFnOnce(&Server) -> T,
    ) -> (T, Cost) {
        let home = Home::new();
        let server = Server::start_under(&home, &self.wrapper).await;
        record(&server, CUSTOMER, CUSTOMERS_EVENTS, 1).await;
        prepare(&server).await;
        let honest = HonestClients::start(&server);
        tokio::time::sleep(SETTLING).await;
        let rest = Cost::begin(&server);
        tokio::time::sleep(Duration::from_millis(self.plan.either(300, 5_000))).await;
        let during = rest.begin_flood(&server);
        let outcome = flood(&server).await;
        let cost = during.end(&server, honest).await;
        cost.report(self.name, findings);
        cost.check(self.name, &self.bounds, self.plan, findings);
        // It would say goodbye to thousands of sessions first.
        server.kill().await;
        findings.faults(home.panics());
        (outcome, cost)
    }
}

/// A preparation that does nothing.
async fn nothing(_: &Server) {}

/// Runs a client on a thread of its own, so that it waits for no other.
fn on_a_thread<T: Send + 'static, F: Future<Output = T>>(
    client: impl FnOnce() -> F + Send + 'static,
) -> JoinHandle<T> {
    spawn_blocking(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, client())
    })
}

/// Records `days` times `each_day` events for an account, in as many categories.
async fn record(server: &Server, account: &str, days: u64, each_day: u64) {
    const BATCH: u64 = 1_000;
    let mut shop = Http::connect(server.public, http::address(0), &token::producer())
        .await
        .unwrap();
    let event = |number: u64| {
        let day = number / each_day;
        let (year, month, day) = (1_990 + day / 336, day % 336 / 28 + 1, day % 28 + 1);
        json!({ "id": number.to_string(), "account": account, "amount": "1.25", "unit": "CNY",
                "category": format!("category number {}", number % each_day),
                "time": format!("{year:04}-{month:02}-{day:02}T20:00:00Z") })
    };
    let count = days * each_day;
    for first in (0..count).step_by(usize::try_from(BATCH).unwrap()) {
        let events: Vec<_> = (first..count.min(first + BATCH)).map(event).collect();
        let body = serde_json::to_vec(&events).unwrap();
        let answer = shop.post("/v1/events", "application/json", &body).await;
        assert_eq!(answer.unwrap().status, 200);
    }
}
