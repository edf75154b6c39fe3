use std::time::Duration;

use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::time::interval;

use crate::cli::Failure;

/// How often histograms are folded: without it they grow until somebody scrapes.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Collects, from now on, what the whole process counts; gives what shows it.
pub(in crate::cli) fn install() -> Result<impl Fn() -> String + Send + Sync + 'static, Failure> {
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
    Ok(move || handle.render())
}
