//! R16: SIGTERM under load. Every client is notified, nothing acknowledged is lost, and it exits in time.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::{
    Plan,
    client::Transport,
    findings::Findings,
    harness::{Harness, Load},
    server::{STOP_MAX, Server},
};

pub(crate) async fn run(plan: Plan) -> Findings {
    let mut findings = Findings::default();
    let mut harness = Harness::new(plan.random.clone(), 10);
    let server = Server::start(&harness.home).await;
    harness.announce(Some(&server));
    let each = plan.either(20, 200);
    harness
        .begin_clients(&[Transport::SocketIoWebSocket], each, false)
        .await;
    let load = Load {
        producers: 2,
        batch: 5,
        pause: Duration::from_millis(20),
        padding: 0,
    };
    harness.begin_producers("r16", load);
    sleep(Duration::from_secs(2)).await;
    // Clients do not reconnect; producers keep trying.
    harness.for_clients.send_replace(None);
    let started = Instant::now();
    let status = server.terminate(STOP_MAX).await;
    findings.figure(
        "ended after",
        format!("{:.2?}, {status:?}", started.elapsed()),
    );
    findings.check(status.is_some_and(|status| status.success()), || {
        format!("it did not end well in time: {status:?}")
    });
    let clients = harness.take_clients().await;
    let told = clients
        .iter()
        .filter(|client| client.fold.closings == ["shutdown"])
        .count();
    findings.figure(
        "clients, told that it shuts down",
        format!("{}, {told}", clients.len()),
    );
    findings.check(told == clients.len(), || {
        format!(
            "{} clients were not told, or more than once",
            clients.len() - told
        )
    });
    let server = Server::start(&harness.home).await;
    harness.for_producers.send_replace(Some(server.public));
    harness.end_producers(&mut findings).await;
    server.stop(&mut findings).await;
    harness.compare(&clients, &mut findings);
    findings
}
