//! Erasing an account over HTTP.

use reqwest::Method;
use serde_json::{Value, json};
use tallycast::{Memory, Sqlite, ledger::Ledger};
use tokio::time::timeout;

use crate::support::{
    SOON,
    api_server::{ApiServer, answer, event},
    feed_hub::{ALICE, account, host},
    tokens::bearer,
};

async fn get(server: &ApiServer, path: &str) -> Value {
    let answer = answer(server.get(path)).await;
    assert_eq!(answer.status, 200, "{path}");
    answer.body
}

async fn everything_of_an_account_is_erased(ledger: impl Ledger) {
    let server = ApiServer::on(ledger).await;
    let blank = get(&server, "/v1/feeds/alice").await;
    let budget =
        json!({ "id": "all", "unit": "CNY", "window": "month", "limit": "3", "thresholds": [100] });
    let profile = json!({ "name": "Alice", "time_zone": "Asia/Kolkata", "budgets": [budget] });
    server.edit("alice", &profile).await;
    let mut old = event("old", "alice");
    old["time"] = json!("2020-02-29T12:00:00Z");
    server
        .record(&json!([
            event("1", "alice"),
            event("2", "alice"),
            old,
            event("1", "bob")
        ]))
        .await;
    let of_bob = get(&server, "/v1/feeds/bob").await;
    let snapshot = get(&server, "/v1/feeds/alice").await;
    assert_eq!(snapshot["offset"], 4, "with an alert: {snapshot}");

    let erased = server.erase("alice").await;
    assert_eq!((erased.status.as_u16(), erased.text.as_str()), (204, ""));
    assert_eq!(erased.header("cache-control"), Some("no-store"));
    assert_eq!(server.erase("alice").await.status, 204);

    assert_eq!(get(&server, "/v1/feeds/alice").await, blank);
    let entries = get(&server, "/v1/feeds/alice/entries").await;
    assert_eq!(entries["entries"], json!([]));
    let profile = get(&server, "/v1/accounts/alice").await;
    let default = json!({ "account": "alice", "time_zone": "UTC", "budgets": [], "revision": 0 });
    assert_eq!(profile, default);
    for query in ["by=day", "from=2020-01-01", "by=month&from=2020-01"] {
        let past = get(&server, &format!("/v1/accounts/alice/totals?{query}")).await;
        assert_eq!(past["totals"], json!([]), "{query}");
    }
    assert_eq!(get(&server, "/v1/feeds/bob").await, of_bob);

    // The account returns as if for the first time.
    let old = snapshot["position"].as_str().unwrap();
    let reset = get(&server, &format!("/v1/feeds/alice?after={old}")).await;
    assert_eq!(
        (&reset["reason"], &reset["offset"]),
        (&json!("bad_position"), &json!(0))
    );
    let again = server.record(&event("1", "alice")).await;
    assert_eq!(
        (again.status.as_u16(), &again.body["offset"]),
        (201, &json!(1))
    );
    for offset in 2..=4 {
        let reset = get(&server, &format!("/v1/feeds/alice?after={old}")).await;
        assert_eq!(reset["reason"], "bad_position");
        server.record(&event(&offset.to_string(), "alice")).await;
    }
    let reset = get(&server, &format!("/v1/feeds/alice?after={old}")).await;
    assert_eq!(
        reset["reason"], "bad_position",
        "at the very offset that it names"
    );
    assert_eq!(
        reset["totals"][0]["all"],
        json!({ "amount": "6.00", "count": 4 })
    );
}

#[tokio::test]
async fn everything_of_an_account_is_erased_in_memory() {
    everything_of_an_account_is_erased(Memory::new()).await;
}

#[tokio::test]
async fn everything_of_an_account_is_erased_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Sqlite::open(folder.path().join("ledger.db")).unwrap();
    everything_of_an_account_is_erased(ledger).await;
}

#[tokio::test]
async fn an_account_that_is_not_there_is_erased_already() {
    let server = ApiServer::start().await;
    assert_eq!(server.erase("nobody").await.status, 204);
}

#[tokio::test]
async fn only_an_administrator_erases() {
    let server = ApiServer::start().await;
    server.record(&event("1", "alice")).await;
    let erase = |path: &str| server.request(Method::DELETE, path);
    for claims in [
        json!({ "scope": "watch record push" }),
        json!({ "scope": "watch record push", "accounts": "*" }),
        json!({ "sub": "bob", "scope": "admin" }),
    ] {
        let request = erase("/v1/accounts/alice").bearer_auth(bearer(claims));
        assert_eq!(answer(request).await.refusal(), (404, "not_found"));
    }
    let nobody = answer(erase("/v1/accounts/alice")).await;
    assert_eq!(nobody.refusal(), (401, "unauthorized"));
    let everywhere = bearer(json!({ "scope": "admin" }));
    let odd = erase("/v1/accounts/alice?force=1").bearer_auth(&everywhere);
    assert_eq!(answer(odd).await.refusal(), (400, "invalid_query"));
    assert_eq!(server.offset("alice").await, 1);
    let own = erase("/v1/accounts/alice").bearer_auth(&everywhere);
    assert_eq!(answer(own).await.status, 204);
    assert_eq!(server.offset("alice").await, 0);
}

#[tokio::test]
async fn a_long_poll_ends_with_an_empty_account() {
    let server = ApiServer::start().await;
    server.record(&event("1", "alice")).await;
    let snapshot = get(&server, "/v1/feeds/alice").await;
    let position = snapshot["position"].as_str().unwrap();
    let poll = server.get(&format!("/v1/feeds/alice?after={position}&wait=55"));
    let poll = tokio::spawn(answer(poll));
    // The long poll waits by now.
    server.record(&event("1", "bob")).await;
    server.erase("alice").await;
    let reset = timeout(SOON, poll).await.unwrap().unwrap();
    assert_eq!(reset.body["type"], "snapshot");
    assert_eq!(reset.body["reason"], "bad_position");
    assert_eq!(
        (&reset.body["offset"], &reset.body["recent"]),
        (&json!(0), &json!([]))
    );
}

#[tokio::test]
async fn open_clients_are_told_and_closed_and_others_stay() {
    let host = host().await;
    host.record("alice", 1..=2).await;
    let mut alice = host.watch(&json!({ "token": ALICE })).await;
    let live = alice.until_live().await;
    let both = json!({ "token": "desk/*/3600000", "account": "alice" });
    let mut desk = host.watch(&both).await;
    desk.until_live().await;
    let mut bob = host.watch(&json!({ "token": "bob/bob/3600000" })).await;
    bob.until_live().await;

    host.hub.feed().erase(&account("alice")).await.unwrap();
    for watcher in [&mut alice, &mut desk] {
        let closing = watcher.expect("closing").await;
        assert_eq!(closing["code"], "revoked");
        assert_eq!(closing["position"], live["position"]);
        assert_eq!(watcher.ws.closed().await, Some(1008));
    }
    host.record("bob", 1..=1).await;
    assert_eq!(bob.expect("update").await["to"], 1);

    let back = json!({ "token": ALICE, "after": live["position"] });
    let mut back = host.watch(&back).await;
    let snapshot = back.expect("snapshot").await;
    assert_eq!(
        (&snapshot["reason"], &snapshot["offset"]),
        (&json!("bad_position"), &json!(0))
    );
    assert_eq!(snapshot["totals"], json!([]));
    back.expect("live").await;
    host.record("alice", 1..=1).await;
    assert_eq!(back.expect("update").await["from"], 1);
}
