//! The process's metrics, in Prometheus' text format.

use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::time::interval;

use super::command_error::CommandError;

/// How often histograms are folded. Without this they grow until the next scrape.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Collects the whole process's metrics from now on, and returns the function that renders them.
pub(super) fn install() -> Result<impl Fn() -> String + Send + Sync + 'static, CommandError> {
    let handle = PrometheusBuilder::new()
        .install_recorder()
        .map_err(CommandError::failed)?;
    let upkeep = handle.clone();
    // The runtime owns this task: it ends with the process.
    tokio::spawn(async move {
        let mut ticks = interval(UPKEEP_INTERVAL);
        loop {
            ticks.tick().await;
            upkeep.run_upkeep();
        }
    });
    Ok(move || handle.render())
}
