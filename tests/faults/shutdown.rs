//! R16: SIGTERM under load. Everyone is told, nothing acknowledged is lost, and it ends in time.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::{
    Plan,
    client::Transport,
    findings::Findings,
    server::{STOP_MAX, Server},
    world::{Load, World},
};

pub(crate) async fn run(plan: Plan) -> Findings {
    let mut findings = Findings::default();
    let mut world = World::new(plan.dice.clone(), 10);
    let server = Server::start(&world.home).await;
    world.announce(Some(&server));
    let each = plan.either(20, 200);
    world
        .begin_clients(&[Transport::SocketIoWebSocket], each, false)
        .await;
    let load = Load {
        producers: 2,
        batch: 5,
        pause: Duration::from_millis(20),
        padding: 0,
    };
    world.begin_producers("r16", load);
    sleep(Duration::from_secs(2)).await;
    // Clients do not come back; producers try on.
    world.for_clients.send_replace(None);
    let started = Instant::now();
    let status = server.terminate(STOP_MAX).await;
    findings.figure(
        "ended after",
        format!("{:.2?}, {status:?}", started.elapsed()),
    );
    findings.check(status.is_some_and(|status| status.success()), || {
        format!("it did not end well in time: {status:?}")
    });
    let clients = world.take_clients().await;
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
    let server = Server::start(&world.home).await;
    world.for_producers.send_replace(Some(server.public));
    world.end_producers(&mut findings).await;
    server.stop(&mut findings).await;
    world.compare(&clients, &mut findings);
    findings
}
