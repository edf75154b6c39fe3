use std::time::Duration;

use axum::{Router, routing::get};
use http::header::CONTENT_TYPE;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::time::interval;

use crate::cli::Failure;

/// How often histograms are folded: without it they grow until somebody scrapes.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// What the library counts, in the text format of Prometheus.
pub(super) struct Metrics(PrometheusHandle);

/// Collects, from now on, what the whole process counts.
pub(super) fn install() -> Result<Metrics, Failure> {
    let handle = PrometheusBuilder::new()
        .install_recorder()
        .map_err(Failure::failed)?;
    let upkeep = handle.clone();
    // Owned by the runtime: it ends with the process.
    tokio::spawn(async move {
        let mut ticks = interval(UPKEEP_INTERVAL);
        loop {
            ticks.tick().await;
            upkeep.run_upkeep();
        }
    });
    Ok(Metrics(handle))
}

impl Metrics {
    /// Shows them at `/metrics`.
    pub(super) fn add_to(self, router: Router) -> Router {
        let text = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
        router.route("/metrics", get(async move || (text, self.0.render())))
    }
}
