use futures_util::future::join_all;
use serde_json::{Value, json};
use tallycast::Quotas;

use super::{host, refusal};
use crate::support::{
    feed_client::FeedClient,
    host::{Host, client_from},
    tokens::bearer,
};

fn slow() -> Quotas {
    Quotas {
        request_rate_per_subject: 1,
        ..Quotas::default()
    }
}

#[tokio::test]
async fn requests_of_a_subject_are_limited_from_all_addresses_together() {
    let host = host(slow()).await;
    let url = format!("http://{}/v1/feeds/alice/entries", host.address);
    let token = bearer(json!({}));
    let ask = |number: usize| {
        let address = ["127.0.0.1", "127.0.0.2"][number % 2];
        client_from(address).get(&url).bearer_auth(&token).send()
    };
    let answers = join_all((0..30).map(ask)).await;
    let (served, refused): (Vec<_>, Vec<_>) = answers
        .into_iter()
        .map(Result::unwrap)
        .partition(|answer| answer.status() == 200);
    assert!(
        served.len() >= 10 && refused.len() >= 18,
        "{} served",
        served.len()
    );
    for answer in refused {
        let (status, retry_after, code) = refusal(answer).await;
        assert_eq!((status, code.as_str()), (429, "too_many_requests"));
        assert!(retry_after.is_some());
    }
    let bob = bearer(json!({ "sub": "bob" }));
    let url = url.replace("alice", "bob");
    let served = client_from("127.0.0.1")
        .get(url)
        .bearer_auth(bob)
        .send()
        .await;
    assert_eq!(served.unwrap().status(), 200);
}

#[tokio::test]
async fn requests_on_open_connections_count_too() {
    let host = host(slow()).await;
    let mut alice = host.watch(&json!({ "token": bearer(json!({})) })).await;
    let url = format!("http://{}/v1/feeds/alice/entries", host.address);
    let token = bearer(json!({}));
    let drain = (0..30).map(|_| {
        client_from("127.0.0.1")
            .get(&url)
            .bearer_auth(&token)
            .send()
    });
    join_all(drain).await;
    let refused = async |name: &str, request: Value, client: &mut FeedClient| {
        let (_, ack) = client.ask(name, &request).await;
        ack["code"].as_str().map(str::to_owned)
    };
    // The rate allows one a second, and each waits for at most that long: so of two at least one is refused.
    let codes = [
        refused("history", json!({}), &mut alice).await,
        refused("subscribe", json!({}), &mut alice).await,
    ];
    assert!(
        codes
            .iter()
            .flatten()
            .all(|code| code == "too_many_requests"),
        "{codes:?}"
    );
}

async fn record(host: &Host, token: &str, events: &Value) -> (u16, String) {
    let url = format!("http://{}/v1/events", host.address);
    let recorded = client_from("127.0.0.1")
        .post(url)
        .bearer_auth(token)
        .json(events)
        .send();
    let (status, _, code) = refusal(recorded.await.unwrap()).await;
    (status, code)
}

fn events(account: &str, ids: std::ops::Range<u32>) -> Value {
    let event =
        |id: u32| json!({ "id": id.to_string(), "account": account, "amount": "1", "unit": "CNY" });
    ids.map(event).collect()
}

#[tokio::test]
async fn events_of_a_subject_are_limited_and_nothing_is_recorded_beyond() {
    let host = host(Quotas {
        event_rate_per_subject: 1,
        ..Quotas::default()
    })
    .await;
    let device = bearer(json!({ "sub": "device", "accounts": ["alice"], "scope": "record" }));
    assert_eq!(record(&host, &device, &events("alice", 0..10)).await.0, 200);
    let refused = record(&host, &device, &events("alice", 10..20)).await;
    assert_eq!(refused, (429, "too_many_requests".to_owned()));
    let alice = tallycast::Account::parse("alice").unwrap();
    let snapshot = host.hub.feed().snapshot(&alice, 0).await.unwrap();
    let snapshot: Value = serde_json::from_str(snapshot.json().get()).unwrap();
    assert_eq!(snapshot["offset"], 10);
}

#[tokio::test]
async fn events_of_an_account_are_limited_over_all_subjects() {
    let host = host(Quotas {
        event_rate_per_account: 1,
        ..Quotas::default()
    })
    .await;
    let device =
        |name: &str| bearer(json!({ "sub": name, "accounts": ["alice"], "scope": "record" }));
    assert_eq!(
        record(&host, &device("a"), &events("alice", 0..10)).await.0,
        200
    );
    assert_eq!(
        record(&host, &device("b"), &events("alice", 10..12))
            .await
            .0,
        429
    );
}
