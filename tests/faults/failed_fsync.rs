//! R3: `fdatasync` fails once, while a commit waits for it. The state of the disk is unknown then, so
//! nothing is acknowledged until a restart, although every later `fdatasync` would succeed.

use std::{
    io,
    net::IpAddr,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    Plan,
    database_file::StoredEntries,
    findings::Findings,
    harness::wait_until,
    http::{self, Http},
    server::{Home, Server, has_program},
    token, trace,
};

const ACCOUNT: &str = "account-r3";
/// After a failure the server must call itself unready within this.
const UNREADY_MAX: Duration = Duration::from_secs(1);
/// How long later events are sent.
const TRIED: Duration = Duration::from_secs(2);

pub(crate) async fn run(plan: Plan) -> Findings {
    let mut findings = Findings::default();
    if !has_program("strace") {
        findings.fault("strace is missing: install it (Debian: apt-get install strace)");
        return findings;
    }
    let mut random = plan.random;
    for _ in 0..if plan.is_long { 20 } else { 2 } {
        let at = 10 + random.below(60);
        fail_at(at, &mut findings).await;
    }
    findings
}

/// Makes the `at`th sync of the log fail.
async fn fail_at(at: u64, findings: &mut Findings) {
    let home = Home::new();
    // The log exists from the start, so that its path can be traced.
    Server::start(&home).await.kill().await;
    let (log, wal) = (home.path("trace"), home.path("ledger.db-wal"));
    let inject = format!("inject=fdatasync,fsync:error=EIO:when={at}");
    let wal = wal.to_str().unwrap();
    let words = trace::strace(
        &log,
        &["-P", wal, "-e", "trace=fdatasync,fsync", "-e", &inject],
    );
    let mut server = Server::start_under(&home, &words).await;
    let mut acknowledged: Vec<(u64, Value)> = Vec::new();
    let mut number = 0;
    let refused = loop {
        number += 1;
        match record(&server, number).await {
            Ok(answer) if answer.status == 201 => acknowledged.push((number, answer.json())),
            other => break other,
        }
        if number > 10 * at {
            return findings.fault(format!("the failure of sync {at} was not noticed"));
        }
    };
    let before = acknowledged.len();
    findings.figure(
        "events acknowledged, then the failure",
        format!("{before}, {}", shown(&refused)),
    );
    let unready = wait_until(UNREADY_MAX, async || {
        server.exited().is_some() || server.readiness().await.ok() != Some(200)
    });
    match unready.await {
        Some(after) => findings.figure("not ready after", format!("{after:?}")),
        None => findings.fault("it still calls itself ready, a second after the failure"),
    }
    let started = Instant::now();
    while started.elapsed() < TRIED {
        number += 1;
        if let Ok(answer) = record(&server, number).await {
            findings.check(!matches!(answer.status, 200 | 201), || {
                format!(
                    "{number} was acknowledged after a failed sync: {}",
                    answer.text()
                )
            });
        }
        sleep(Duration::from_millis(20)).await;
    }
    server.signal("KILL");
    drop(server);
    restart(&home, number, &acknowledged, findings).await;
}

/// After a restart every event gets its one answer.
async fn restart(home: &Home, last: u64, acknowledged: &[(u64, Value)], findings: &mut Findings) {
    let server = Server::start(home).await;
    for number in 1..=last {
        let status = record(&server, number).await.map(|answer| answer.status);
        findings.check(matches!(status, Ok(200 | 201)), || {
            format!("{number} did not settle: {status:?}")
        });
    }
    server.kill().await;
    let stored = StoredEntries::read(home, findings);
    let rows = stored.rows(ACCOUNT);
    findings.check(rows.len() as u64 == last, || {
        format!("{} entries of {last} events", rows.len())
    });
    for (number, receipt) in acknowledged {
        let row = rows.iter().find(|row| row.id == id(*number));
        let offset = row.map(|row| row.offset);
        findings.check(offset == receipt["offset"].as_u64(), || {
            format!(
                "{} was acknowledged as {}, it is at {offset:?}",
                id(*number),
                receipt["offset"]
            )
        });
    }
    findings.faults(home.panics());
}

fn id(number: u64) -> String {
    format!("r3-{number:06}")
}

async fn record(server: &Server, number: u64) -> io::Result<http::Answer> {
    let from: IpAddr = http::address(number % 5);
    let mut http = Http::connect(server.public, from, &token::producer()).await?;
    let event = json!({ "id": id(number), "account": ACCOUNT, "amount": "1.00", "unit": "CNY" });
    http.post(
        "/v1/events",
        "application/json",
        event.to_string().as_bytes(),
    )
    .await
}

fn shown(answer: &io::Result<http::Answer>) -> String {
    match answer {
        Ok(answer) => format!("{} {}", answer.status, answer.json()["code"]),
        Err(error) => format!("no answer ({error})"),
    }
}
