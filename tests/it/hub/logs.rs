//! What must not be in the log, even at level TRACE.

use axum::{body::Body, http::Request};
use serde_json::json;
use tallycast::{Hub, Jwt, Memory};
use tower::ServiceExt;
use tracing::Level;

use crate::support::{
    api_server::event,
    captured_log::CapturedLog,
    tokens::{Key, OTHER_SECRET, SECRET, bearer, claims, producer, seconds, token},
};

#[tokio::test]
async fn tokens_and_descriptions_are_not_logged() {
    let log = CapturedLog::of_this_thread(Level::TRACE);

    let hub = Hub::builder(Memory::new(), Jwt::hs256(SECRET).unwrap());
    let router = hub.build().await.unwrap().router();
    let forged = token(
        &json!({ "alg": "HS256" }),
        &claims(json!({})),
        &Key::secret(OTHER_SECRET),
    );
    let odd_claim = bearer(json!({ "exp": "a-secret-claim" }));
    let expired = bearer(json!({ "exp": seconds(-9) }));
    let tokens = [producer(), forged, odd_claim, expired, "a.b.c".to_owned()];
    let mut described = event("1", "alice");
    described["description"] = json!("a-secret-purchase");
    for token in &tokens {
        let request = Request::post("/v1/events")
            .header("authorization", format!("Bearer {token}"))
            .body(Body::from(described.to_string()))
            .unwrap();
        router.clone().oneshot(request).await.unwrap();
    }

    let log = log.text();
    assert_eq!(log.matches("refused a caller").count(), 4, "{log}");
    for part in tokens.iter().flat_map(|token| token.split('.')) {
        assert!(part.len() < 9 || !log.contains(part), "{part} in {log}");
    }
    assert!(!log.contains("a-secret"), "{log}");
}
