//! What must not be in the log, even at level TRACE.

use std::{
    io::{Result, Write},
    sync::{Arc, Mutex},
};

use axum::{body::Body, http::Request};
use serde_json::json;
use tallycast::{Hub, Jwt, Memory};
use tower::ServiceExt;
use tracing::{Level, subscriber};

use crate::support::{
    api_server::event,
    tokens::{Key, OTHER_SECRET, SECRET, bearer, claims, producer, seconds, token},
};

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn tokens_and_descriptions_are_not_logged() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _installed = subscriber::set_default(subscriber);

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

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(log.matches("refused a caller").count(), 4, "{log}");
    for part in tokens.iter().flat_map(|token| token.split('.')) {
        assert!(part.len() < 9 || !log.contains(part), "{part} in {log}");
    }
    assert!(!log.contains("a-secret"), "{log}");
}
