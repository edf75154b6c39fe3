//! What a customer's apps see after an erasure.

use serde_json::json;

use crate::{
    facts::{follow, until},
    screen::Screen,
    server::Server,
    stock::Stock,
};

pub(crate) async fn two_clients_are_told_that_their_account_is_erased(stock: Stock) {
    let mut server = Server::start().await;
    server.record(3).await;
    let token = server.token("alice").await;
    let mut clients = [(); 2].map(|()| stock.client(&server.url, &token).start());
    let mut screens = [(); 2].map(|()| Screen::default());
    for (client, screen) in clients.iter_mut().zip(&mut screens) {
        client.connected().await;
        until(client, screen, "live").await;
        assert_eq!(screen.offset, Some(3));
    }
    let old = screens[0].position.clone();

    server.erase().await;
    for (client, screen) in clients.iter_mut().zip(&mut screens) {
        until(client, screen, "closing").await;
        assert_eq!(screen.closing.as_deref(), Some("revoked"));
        // It reconnects by itself, with its position.
        until(client, screen, "live").await;
        assert_eq!(screen.snapshots, 2);
        assert_eq!(
            (screen.offset, screen.ids.len(), screen.totals.len()),
            (Some(0), 0, 0)
        );
    }

    server.record(1).await;
    for (client, screen) in clients.iter_mut().zip(&mut screens) {
        follow(client, screen, 1).await;
        assert_eq!(screen.snapshots, 2, "what is new continues what is empty");
    }
    let spec = stock.client(&server.url, &token);
    let mut client = spec.auth(json!({ "after": old })).start();
    client.connected().await;
    let snapshot = until(&mut client, &mut Screen::default(), "snapshot").await;
    assert_eq!(snapshot["reason"], "bad_position");
    assert_eq!(snapshot["offset"], 1);
}
