//! The admin listener: health and metrics.

use crate::support::api_server::{ApiServer, answer};

#[tokio::test]
async fn a_sound_server_is_live_and_ready() {
    let server = ApiServer::start().await;
    for path in ["/health/live", "/health/ready"] {
        let healthy = answer(server.ask_admin(path)).await;
        assert_eq!(healthy.status, 200, "{path}");
    }
}

#[tokio::test]
async fn metrics_are_what_the_binary_hands_in() {
    let server = ApiServer::start().await;
    let metrics = answer(server.ask_admin("/metrics")).await;
    assert_eq!(metrics.text, "tallycast_up 1\n");
    assert!(
        metrics
            .header("content-type")
            .unwrap()
            .starts_with("text/plain")
    );
}

#[tokio::test]
async fn the_public_listener_shows_nothing_of_it() {
    let server = ApiServer::start().await;
    for path in ["/health/live", "/health/ready", "/metrics"] {
        assert_eq!(answer(server.get(path)).await.status, 404, "{path}");
    }
}
