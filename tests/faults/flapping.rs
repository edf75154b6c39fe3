//! R5: clients that are cut repeatedly, on every transport, while events flow.

use std::time::Duration;

use tokio::time::sleep;

use super::{
    Plan,
    client::Transport,
    findings::Findings,
    harness::{Harness, Load, figures_of},
    server::Server,
};

pub(crate) async fn run(plan: Plan) -> Findings {
    let mut findings = Findings::default();
    let mut harness = Harness::new(plan.random.clone(), 2);
    let server = Server::start(&harness.home).await;
    harness.announce(Some(&server));
    harness
        .begin_clients(&Transport::ALL, plan.either(4, 20), true)
        .await;
    // Many small commits, so that much waits for a pausing client; and some large events, so that a
    // replay of a few dozen takes several pages.
    let small = Load {
        producers: 3,
        batch: 2,
        pause: Duration::ZERO,
        padding: 0,
    };
    let large = Load {
        producers: 1,
        batch: 10,
        pause: Duration::from_millis(100),
        padding: 3_800,
    };
    harness.begin_producers("r5small", small);
    harness.begin_producers("r5large", large);
    sleep(Duration::from_secs(plan.either(7, 300))).await;
    harness.end_producers(&mut findings).await;
    let clients = harness.end_clients().await;
    server.stop(&mut findings).await;
    harness.compare(&clients, &mut findings);
    figures_of(&clients, &mut findings);
    findings
}
