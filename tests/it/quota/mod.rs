//! What one client may use, and how each transport refuses more.

mod addresses;
mod bodies;
mod proxies;
mod sessions;
mod subjects;
mod subscriptions;

use reqwest::Response;
use serde_json::Value;
use tallycast::{Hub, Jwt, Memory, Quotas};

use crate::support::{host::Host, tokens::SECRET};

/// A server with these quotas and signed tokens.
async fn host(quotas: Quotas) -> Host {
    let hub = Hub::builder(Memory::new(), Jwt::hs256(SECRET).unwrap()).quotas(quotas);
    Host::start(hub.build().await.unwrap()).await
}

/// The status, `Retry-After`, and the code of a refusal.
async fn refusal(response: Response) -> (u16, Option<u64>, String) {
    let status = response.status().as_u16();
    let retry_after = response.headers().get("retry-after");
    let retry_after = retry_after.map(|seconds| seconds.to_str().unwrap().parse().unwrap());
    let body: Value = response.json().await.unwrap();
    let code = body["code"].as_str().unwrap_or_default().to_owned();
    (status, retry_after, code)
}
