use tallycast::{Hub, Memory, Quotas};

use crate::support::{
    feed_hub::{ALICE, TestAuthorizer},
    follow_client::{FollowOptions, Transport, follow},
    host::Host,
};
use serde_json::json;

async fn host(quotas: Quotas) -> Host {
    let hub = Hub::builder(Memory::new(), TestAuthorizer).quotas(quotas);
    Host::start(hub.build().await.unwrap()).await
}

fn alice(host: &Host) -> FollowOptions {
    FollowOptions {
        address: host.address,
        account: "alice".to_owned(),
        token: ALICE.to_owned(),
        after: None,
        mode: None,
    }
}

/// The refusal of a subscription, in the transport's own way.
fn too_many(transport: Transport) -> &'static str {
    match transport {
        Transport::SocketIo | Transport::SocketIoPolling => "too_many_requests",
        _ => "429",
    }
}

/// On each transport: one subscription is served, the next is refused, and after its end another is served.
async fn one_at_a_time(quotas: Quotas) {
    for transport in Transport::ALL.into_iter().filter(|it| it.stays_open()) {
        let host = host(quotas.clone()).await;
        let first = follow(transport, &alice(&host)).await.ok().unwrap();
        for other in Transport::ALL.into_iter().filter(|it| it.stays_open()) {
            let refused = follow(other, &alice(&host)).await.err();
            assert_eq!(
                refused.as_deref(),
                Some(too_many(other)),
                "{transport:?}, {other:?}"
            );
        }
        drop(first);
        if transport == Transport::SocketIoPolling {
            // Without a connection the server notices only by its heartbeat.
            continue;
        }
        let mut again = follow(transport, &alice(&host)).await;
        while again.is_err() {
            // The server has not noticed yet that the first is gone.
            tokio::task::yield_now().await;
            again = follow(transport, &alice(&host)).await;
        }
        assert!(again.ok().unwrap().next().await.is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_of_a_subject_are_bounded() {
    one_at_a_time(Quotas {
        subscriptions_per_subject_max: 1,
        ..Quotas::default()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_to_an_account_are_bounded() {
    let host = host(Quotas {
        subscriptions_per_account_max: 1,
        ..Quotas::default()
    })
    .await;
    let _first = follow(Transport::Sse, &alice(&host)).await.ok().unwrap();
    let bob = FollowOptions {
        token: "bob/alice,bob/3600000".to_owned(),
        ..alice(&host)
    };
    assert_eq!(
        follow(Transport::Stream, &bob).await.err().as_deref(),
        Some("429")
    );
    let elsewhere = FollowOptions {
        account: "bob".to_owned(),
        ..bob
    };
    assert!(follow(Transport::Stream, &elsewhere).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_from_an_address_are_bounded() {
    let host = host(Quotas {
        subscriptions_per_address_max: 2,
        ..Quotas::default()
    })
    .await;
    let auth = json!({ "token": "carol/a,b,c/3600000", "subscribe": false });
    let mut carol = host.watch(&auth).await;
    for (account, code) in [("a", None), ("b", None), ("c", Some("too_many_requests"))] {
        let (_, ack) = carol.ask("subscribe", &json!({ "account": account })).await;
        assert_eq!(ack["code"].as_str(), code, "{account}: {ack}");
    }
    let (_, ack) = carol.ask("subscribe", &json!({ "account": "a" })).await;
    assert_eq!(
        ack["ok"], true,
        "a subscription that exists may begin anew: {ack}"
    );
    assert_eq!(
        follow(Transport::WebSocket, &alice(&host))
            .await
            .err()
            .as_deref(),
        Some("429")
    );
    let (_, ack) = carol.ask("unsubscribe", &json!({ "account": "a" })).await;
    assert_eq!(ack["ok"], true, "{ack}");
    assert!(follow(Transport::WebSocket, &alice(&host)).await.is_ok());
}
