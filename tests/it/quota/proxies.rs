use tallycast::{Hub, Memory, Quotas};

use crate::support::{feed_hub::TestAuthorizer, host::Host};

/// The status of a new session for the client that a proxy names.
async fn open_for(host: &Host, header: &str, client: &str) -> u16 {
    let open = host.request(reqwest::Method::GET, "EIO=4&transport=polling");
    let opened = open.header(header, client).send().await.unwrap();
    opened.status().as_u16()
}

async fn host(proxies: &str) -> Host {
    let hub = Hub::builder(Memory::new(), TestAuthorizer)
        .trusted_proxies(proxies.parse().unwrap())
        .quotas(Quotas {
            sessions_per_address_max: 1,
            session_rate_per_connection: 1,
            ..Quotas::default()
        });
    Host::start(hub.build().await.unwrap()).await
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_are_counted_apart() {
    let host = host("127.0.0.0/8").await;
    // More than one connection may open: a proxy's connection carries many clients.
    for client in 1..=20 {
        let client = format!("192.0.2.{client}");
        assert_eq!(open_for(&host, "X-Forwarded-For", &client).await, 200);
    }
    assert_eq!(open_for(&host, "X-Forwarded-For", "192.0.2.1").await, 429);
    let forged = "198.51.100.1, 192.0.2.1";
    assert_eq!(open_for(&host, "X-Forwarded-For", forged).await, 429);
    assert_eq!(
        open_for(&host, "Forwarded", "for=192.0.2.1;proto=https").await,
        429
    );
    assert_eq!(
        open_for(&host, "Forwarded", "for=\"[2001:db8::1]:443\"").await,
        200
    );
    let same_network = "for=\"[2001:db8::2]\"";
    assert_eq!(
        open_for(&host, "Forwarded", same_network).await,
        429,
        "one /64"
    );
}

#[tokio::test]
async fn forwarding_headers_of_strangers_are_ignored() {
    let host = host("").await;
    assert_eq!(open_for(&host, "X-Forwarded-For", "192.0.2.1").await, 200);
    assert_eq!(open_for(&host, "X-Forwarded-For", "192.0.2.2").await, 429);
    assert_eq!(open_for(&host, "Forwarded", "for=192.0.2.3").await, 429);
}
