//! R1: `kill -9` under load, at many random instants, then a restart.

use std::{net::IpAddr, time::Duration};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    Plan,
    client::Transport,
    database_file::StoredEntries,
    findings::Findings,
    harness::{Harness, Load, figures_of},
    http::{self, Http},
    server::{Home, Server, has_program},
    token, trace,
};

const READY_MAX: Duration = Duration::from_secs(if cfg!(debug_assertions) { 10 } else { 2 });
/// How long each write to the log takes on a slow disk; a commit is several.
const WRITE_DELAY_MICROS: u32 = 3_000;
const BULK_ACCOUNTS: u64 = 1_000;
const BULK_BATCH: u64 = 1_000;

pub(crate) async fn run(plan: Plan) -> Findings {
    let mut findings = Findings::default();
    let kills = plan.either(16, 300);
    let mut harness = Harness::new(plan.random.clone(), 6);
    let mut server = Server::start(&harness.home).await;
    harness.announce(Some(&server));
    fill(&server, plan.either(0, 1_000_000)).await;
    harness.begin_clients(&Transport::ALL, 1, false).await;
    let load = Load {
        producers: 3,
        batch: 20,
        pause: Duration::ZERO,
        padding: 0,
    };
    harness.begin_producers("r1", load);
    let bulk = Load {
        producers: 1,
        batch: 300,
        pause: Duration::from_millis(20),
        padding: 0,
    };
    harness.begin_producers("r1bulk", bulk);
    let mut slowest = Duration::ZERO;
    for kill in 0..kills {
        sleep(harness.random.millis(30, 400)).await;
        harness.for_clients.send_replace(None);
        server.kill().await;
        // Producers continue until they notice: what they send now has no outcome.
        harness.announce(None);
        if kill % plan.either(4, 50) == 0 {
            look(&harness, &mut findings);
        }
        let words = slow_disk(&harness.home, kill);
        server = Server::start_under(&harness.home, &words).await;
        slowest = slowest.max(server.ready);
        harness.announce(Some(&server));
    }
    sleep(Duration::from_millis(300)).await;
    harness.end_producers(&mut findings).await;
    harness.compare_api(&server, &mut findings).await;
    let clients = harness.end_clients().await;
    server.stop(&mut findings).await;
    findings.figure("kills", kills);
    harness.compare(&clients, &mut findings);
    figures_of(&clients, &mut findings);
    findings.figure("ready after a restart, slowest", format!("{slowest:?}"));
    findings.check(slowest <= READY_MAX, || {
        format!("ready only after {slowest:?}")
    });
    findings
}

/// Every other time the log is on a slow disk, where nearly every kill hits a commit that has begun.
fn slow_disk(home: &Home, kill: u64) -> Vec<String> {
    if kill.is_multiple_of(2) || !has_program("strace") {
        return Vec::new();
    }
    let (log, wal) = (home.path("trace"), home.path("ledger.db-wal"));
    let inject = format!("inject=pwrite64:delay_enter={WRITE_DELAY_MICROS}");
    let wal = wal.to_str().unwrap();
    trace::strace(&log, &["-P", wal, "-e", "trace=pwrite64", "-e", &inject])
}

/// The file as the kill left it holds everything that was acknowledged by then.
fn look(harness: &Harness, findings: &mut Findings) {
    let mut seen = Findings::default();
    let stored = StoredEntries::read(&harness.home, &mut seen);
    harness.oracle.compare(&stored, &mut seen);
    findings.faults(seen.into_faults());
}

/// Fills the ledger with other accounts' entries.
async fn fill(server: &Server, entries: u64) {
    let from: IpAddr = http::address(500);
    let mut http = Http::connect(server.public, from, &token::producer())
        .await
        .unwrap();
    for batch in 0..entries / BULK_BATCH {
        let one = |number| {
            let number = batch * BULK_BATCH + number;
            json!({
                "id": format!("bulk-{number}"), "amount": "1.00", "unit": "CNY",
                "account": format!("bulk-{}", number % BULK_ACCOUNTS),
            })
        };
        let events: Value = (0..BULK_BATCH).map(one).collect();
        let body = events.to_string();
        let answer = http
            .post("/v1/events", "application/json", body.as_bytes())
            .await
            .unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}
