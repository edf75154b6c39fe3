use futures_util::future::join_all;
use serde_json::json;
use tallycast::Quotas;

use super::{host, refusal};
use crate::support::{
    host::{Host, client_from},
    tokens::{bearer, producer},
};

/// The refusal of a request with this token; `None` if it was served.
async fn refusal_of(host: &Host, address: &str, path: &str, token: &str) -> Option<u16> {
    let url = format!("http://{}{path}", host.address);
    let response = client_from(address)
        .get(url)
        .bearer_auth(token)
        .send()
        .await;
    let status = response.unwrap().status();
    (!status.is_success()).then(|| status.as_u16())
}

#[tokio::test]
async fn address_whose_tokens_are_rejected_is_refused_everywhere() {
    let host = host(Quotas {
        request_rate_per_address: 2,
        ..Quotas::default()
    })
    .await;
    let (feed, alice) = ("/v1/feeds/alice", bearer(json!({})));
    assert_eq!(refusal_of(&host, "127.0.0.1", feed, &alice).await, None);
    for _ in 0..2 {
        assert_eq!(
            refusal_of(&host, "127.0.0.1", feed, "guessed").await,
            Some(401)
        );
    }
    let paths = [
        feed,
        "/v1/feeds/alice/ws",
        "/v1/feeds/alice/sse",
        "/v1/feeds/alice/stream",
        "/v1/feeds/alice/iframe?callback=f",
        "/v1/feeds/alice/entries",
        "/v1/accounts/alice",
        "/socket.io/?EIO=4&transport=polling",
    ];
    let requests = paths.map(|path| refusal_of(&host, "127.0.0.1", path, &alice));
    assert_eq!(join_all(requests).await, [Some(429); 8]);
    assert_eq!(refusal_of(&host, "127.0.0.2", feed, &alice).await, None);
    let url = format!("http://{}{feed}", host.address);
    let response = client_from("127.0.0.1")
        .get(url)
        .bearer_auth(&alice)
        .send()
        .await;
    let (status, retry_after, code) = refusal(response.unwrap()).await;
    assert_eq!((status, code.as_str()), (429, "too_many_requests"));
    assert!((1..=30).contains(&retry_after.unwrap()), "{retry_after:?}");
}

#[tokio::test]
async fn rejected_tickets_and_sockets_count_like_tokens() {
    let feed = "/v1/feeds/alice";
    let ticket = host(Quotas {
        request_rate_per_address: 2,
        ..Quotas::default()
    })
    .await;
    for _ in 0..2 {
        let url = format!("http://{}{feed}/sse?ticket=guessed", ticket.address);
        assert_eq!(
            client_from("127.0.0.1")
                .get(url)
                .send()
                .await
                .unwrap()
                .status(),
            401
        );
    }
    let alice = bearer(json!({}));
    assert_eq!(
        refusal_of(&ticket, "127.0.0.1", feed, &alice).await,
        Some(429)
    );
    let socket = host(Quotas {
        request_rate_per_address: 2,
        ..Quotas::default()
    })
    .await;
    for _ in 0..2 {
        assert_eq!(
            socket.refusal(r#"{"token":"guessed"}"#).await,
            "unauthorized"
        );
    }
    assert_eq!(
        refusal_of(&socket, "127.0.0.1", feed, &alice).await,
        Some(429)
    );
}

#[tokio::test]
async fn backend_has_no_rate_of_requests() {
    let host = host(Quotas {
        request_rate_per_address: 2,
        request_rate_per_subject: 1,
        event_rate_per_subject: 1,
        event_rate_per_account: 1,
        ..Quotas::default()
    })
    .await;
    let (client, token) = (client_from("127.0.0.1"), producer());
    let record = async |id: u32| {
        let event =
            json!({ "id": id.to_string(), "account": "alice", "amount": "1", "unit": "CNY" });
        let url = format!("http://{}/v1/events", host.address);
        let recorded = client
            .post(url)
            .bearer_auth(&token)
            .json(&event)
            .send()
            .await;
        recorded.unwrap().status()
    };
    for id in 0..100 {
        assert_eq!(record(id).await, 201);
    }
}
