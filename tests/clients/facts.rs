//! What every stock client sees.

use serde_json::{Value, json};

use crate::{
    screen::Screen,
    server::Server,
    stock::{Library, Resume, Stock, StockClient, Transport},
    tcp_proxy::TcpProxy,
};

pub(crate) async fn connects_and_gets_the_snapshot_then_live(stock: Stock) {
    let mut server = Server::start().await;
    server.record(3).await;
    let mut client = stock
        .client(&server.url, &server.token("alice").await)
        .start();

    client.connected().await;
    subscribed(&mut client, stock.resume()).await;
    let snapshot = client.expect("snapshot").await;
    assert_eq!(snapshot["type"], "snapshot");
    assert_eq!(snapshot["account"], "alice");
    assert_eq!(snapshot["reason"], "initial");
    assert_eq!(snapshot["offset"], 3);
    assert_eq!(snapshot["totals"], server.snapshot().await["totals"]);
    let live = client.expect("live").await;
    assert_eq!(live["offset"], 3);
    assert_eq!(live["position"], snapshot["position"]);
}

pub(crate) async fn follows_updates_in_order(stock: Stock) {
    let mut server = Server::start().await;
    let mut client = stock
        .client(&server.url, &server.token("alice").await)
        .start();
    client.connected().await;
    // Recorded while it subscribes, and while it upgrades.
    for _ in 0..20 {
        server.record(5).await;
    }
    let mut screen = Screen::default();
    follow(&mut client, &mut screen, 100).await;
    server.record(1).await;
    follow(&mut client, &mut screen, 101).await;
    assert_shows_the_ledger(&screen, &server).await;
}

pub(crate) async fn resumes_after_a_cut(stock: Stock) {
    resumes(stock, stock.resume()).await;
}

pub(crate) async fn resumes_by_subscribing_on_connect(stock: Stock) {
    resumes(stock, Resume::Subscribe).await;
}

async fn resumes(stock: Stock, resume: Resume) {
    let mut server = Server::start().await;
    let proxy = TcpProxy::to(&server.url).await;
    let spec = stock.client(&proxy.url, &server.token("alice").await);
    let mut client = match resume {
        Resume::Auth => spec.start(),
        Resume::Subscribe => spec.with_fixed_auth().start(),
    };
    client.connected().await;
    let mut screen = Screen::default();
    server.record(3).await;
    follow(&mut client, &mut screen, 3).await;

    for seen in [3, 8] {
        proxy.cut();
        client.await_kind("disconnect").await;
        server.record(5).await;
        proxy.restore();
        client.connected().await;
        subscribed(&mut client, resume).await;
        let update = client.expect("update").await;
        assert_eq!(update["from"], seen + 1);
        screen.apply(&update);
        follow(&mut client, &mut screen, seen + 5).await;
    }
    server.record(1).await;
    follow(&mut client, &mut screen, 14).await;
    assert_eq!(screen.snapshots, 1);
    assert_shows_the_ledger(&screen, &server).await;
}

pub(crate) async fn is_refused_without_a_token(stock: Stock) {
    let server = Server::start().await;
    for auth in [json!({ "token": "" }), json!({ "token": "nonsense" })] {
        let mut client = stock.client(&server.url, "").auth(auth).start();
        let refusal = client.await_kind("connect_error").await;
        assert_eq!(refusal["message"], "unauthorized");
    }
    let mut client = stock.client(&server.url, "").without_token().start();
    let refusal = client.await_kind("connect_error").await;
    assert_eq!(refusal["message"], "unauthorized");
}

pub(crate) async fn does_not_find_another_account(stock: Stock) {
    let mut server = Server::start().await;
    server.record(1).await;
    let spec = stock.client(&server.url, &server.token("bob").await);
    let other = json!({ "account": "alice", "subscribe": "true" });
    let refusal = spec.auth(other).start().await_kind("connect_error").await;
    assert_eq!(refusal["message"], "not_found");
}

pub(crate) async fn is_answered_by_acks(stock: Stock) {
    let mut server = Server::start().await;
    server.record(5).await;
    let mut client = stock
        .client(&server.url, &server.token("alice").await)
        .start();
    client.connected().await;
    client.live().await;

    let history = client.ask("history", &json!({ "limit": 2 })).await;
    assert_eq!(history["ok"], true, "{history}");
    assert_eq!(offsets(&history["entries"]), [5, 4]);
    let before = client
        .ask(
            "history",
            &json!({ "before": history["next"], "limit": "2" }),
        )
        .await;
    assert_eq!(offsets(&before["entries"]), [3, 2]);

    assert_refused(
        &client.ask("history", &json!({ "account": "bob" })).await,
        "not_found",
    );
    assert_refused(
        &client.ask("subscribe", &json!({ "account": "bob" })).await,
        "not_found",
    );
    assert_refused(
        &client.ask("history", &json!({ "limit": "many" })).await,
        "bad_request",
    );
    assert_refused(&client.ask("nonsense", &json!({})).await, "unknown_event");

    let answer = client
        .ask("unsubscribe", &json!({ "account": "alice" }))
        .await;
    assert_eq!(answer["ok"], true, "{answer}");
    server.record(1).await;
    let answer = client
        .ask_in_silence("history", &json!({ "limit": 1 }))
        .await;
    assert_eq!(offsets(&answer["entries"]), [6]);
}

pub(crate) async fn subscribes_again_from_a_position(stock: Stock) {
    let mut server = Server::start().await;
    let mut client = stock
        .client(&server.url, &server.token("alice").await)
        .start();
    client.connected().await;
    let mut screen = Screen::default();
    server.record(1).await;
    follow(&mut client, &mut screen, 1).await;
    let after = screen.position.clone();
    server.record(3).await;
    follow(&mut client, &mut screen, 4).await;

    let answer = client.ask("subscribe", &json!({ "after": after })).await;
    assert_eq!(answer["ok"], true, "{answer}");
    let update = client.expect("update").await;
    assert_eq!((&update["from"], &update["to"]), (&json!(2), &json!(4)));
    let live = client.expect("live").await;
    assert_eq!(live["offset"], 4);
    server.record(1).await;
    let update = client.expect("update").await;
    assert_eq!((&update["from"], &update["to"]), (&json!(5), &json!(5)));
}

pub(crate) async fn survives_a_killed_server(stock: Stock) {
    let mut server = Server::start().await;
    let mut client = stock
        .client(&server.url, &server.token("alice").await)
        .start();
    client.connected().await;
    let mut screen = Screen::default();
    server.record(20).await;
    follow(&mut client, &mut screen, 20).await;

    server.kill().await;
    client.await_kind("disconnect").await;
    server.restart().await;
    server.record(5).await;
    follow(&mut client, &mut screen, 25).await;
    server.record(1).await;
    follow(&mut client, &mut screen, 26).await;
    assert_eq!(screen.snapshots, 1, "a restart needs no new snapshot");
    assert_shows_the_ledger(&screen, &server).await;
}

pub(crate) async fn takes_the_transport_it_was_told(stock: Stock) {
    let server = Server::start().await;
    let mut client = stock
        .client(&server.url, &server.token("alice").await)
        .start();
    let is_javascript = matches!(stock.library, Library::JavaScript4 | Library::JavaScript3);
    if stock.transport == Transport::Upgrade && is_javascript {
        let upgrade = client.await_kind("upgrade").await;
        assert_eq!(upgrade["transport"], "websocket");
    } else {
        client.connected().await;
    }
}

pub(crate) async fn sees_corrections_as_entries(stock: Stock) {
    let server = Server::start().await;
    let mut client = stock
        .client(&server.url, &server.token("alice").await)
        .start();
    let mut screen = Screen::default();
    client.connected().await;
    until(&mut client, &mut screen, "live").await;
    for (event, amount, total) in [
        (
            json!({ "id": "a", "amount": "12.50", "unit": "CNY" }),
            "12.50",
            ("12.50", 1),
        ),
        (
            json!({ "id": "b", "amount": "7.50", "unit": "CNY" }),
            "7.50",
            ("20.00", 2),
        ),
        (
            json!({ "id": "c", "kind": "reversal", "reverses": "a" }),
            "-12.50",
            ("7.50", 1),
        ),
        (
            json!({ "id": "d", "kind": "adjustment", "amount": "-0.5", "unit": "CNY", "description": "goodwill" }),
            "-0.5",
            ("7.00", 1),
        ),
    ] {
        let mut event = event;
        event["account"] = json!("alice");
        server.record_one(&event).await;
        let update = until(&mut client, &mut screen, "update").await;
        let entry = &update["entries"][0];
        assert_eq!(entry["id"], event["id"]);
        assert_eq!(
            entry["kind"],
            *event.get("kind").unwrap_or(&json!("consumption"))
        );
        assert_eq!(entry["amount"], amount);
        let all = &update["totals"][0]["all"];
        assert_eq!(
            (&all["amount"], &all["count"]),
            (&json!(total.0), &json!(total.1))
        );
    }
    assert_eq!(screen.ids, ["a", "b", "c", "d"]);
    assert_eq!(screen.window("month").1, "7.00");
}

/// Applies messages until the screen is at `offset`, where an update must end.
pub(crate) async fn follow(client: &mut StockClient, screen: &mut Screen, offset: u64) {
    while screen.offset < Some(offset) {
        let line = client.await_kind("event").await;
        screen.apply(&line["data"]);
    }
    assert_eq!(screen.offset, Some(offset), "{:?}", screen.ids);
}

/// Applies messages up to the next event, or line, of this name; returns its payload.
pub(crate) async fn until(client: &mut StockClient, screen: &mut Screen, name: &str) -> Value {
    loop {
        let mut line = client.next().await;
        if line["kind"] == "event" {
            screen.apply(&line["data"]);
        }
        if line["kind"] == name || line["event"] == name {
            return line["data"].take();
        }
    }
}

/// A client that subscribes by itself is answered before its first message.
async fn subscribed(client: &mut StockClient, resume: Resume) {
    if resume == Resume::Subscribe {
        let answer = client.expect_ack("subscribe").await;
        assert_eq!(answer["ok"], true, "{answer}");
    }
}

pub(crate) async fn assert_shows_the_ledger(screen: &Screen, server: &Server) {
    let mut ledger = Screen::default();
    ledger.apply(&server.snapshot().await);
    assert_eq!(screen.offset, ledger.offset);
    assert_eq!(screen.totals, ledger.totals);
    let shown = &screen.ids;
    assert!(server.recorded_ids().ends_with(shown), "{shown:?}");
}

fn assert_refused(answer: &Value, code: &str) {
    assert_eq!(answer["ok"], false, "{answer}");
    assert_eq!(answer["code"], code, "{answer}");
}

fn offsets(entries: &Value) -> Vec<u64> {
    let entries = entries.as_array().unwrap().iter();
    entries
        .map(|entry| entry["offset"].as_u64().unwrap())
        .collect()
}
