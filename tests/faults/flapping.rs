//! R5: clients that are cut again and again, by every transport, while events flow.

use std::time::Duration;

use tokio::time::sleep;

use super::{
    Plan,
    client::Transport,
    findings::Findings,
    server::Server,
    world::{Load, World, figures_of},
};

pub(crate) async fn run(plan: Plan) -> Findings {
    let mut findings = Findings::default();
    let mut world = World::new(plan.dice.clone(), 2);
    let server = Server::start(&world.home).await;
    world.announce(Some(&server));
    world
        .begin_clients(&Transport::ALL, plan.either(4, 20), true)
        .await;
    // Many small commits, so that a lot waits for whoever dozes off; and some large events, so that a
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
    world.begin_producers("r5small", small);
    world.begin_producers("r5large", large);
    sleep(Duration::from_secs(plan.either(7, 300))).await;
    world.end_producers(&mut findings).await;
    let clients = world.end_clients().await;
    server.stop(&mut findings).await;
    world.compare(&clients, &mut findings);
    figures_of(&clients, &mut findings);
    findings
}
