use std::time::Duration;

/// How long each message took.
#[derive(Debug, Default)]
pub(crate) struct Latencies {
    times: Vec<Duration>,
}

impl Latencies {
    pub(super) fn add(&mut self, time: Duration) {
        self.times.push(time);
    }

    /// The times at these quantiles (0.5 is the median), in microseconds; `None` if nothing was timed.
    pub(crate) fn micros<const N: usize>(&self, quantiles: [f64; N]) -> Option<[f64; N]> {
        let mut times = self.times.clone();
        times.sort_unstable();
        let last = times.len().checked_sub(1)?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a quantile of a length is an index"
        )]
        let at = |quantile: f64| times[(last as f64 * quantile).round() as usize];
        Some(quantiles.map(|quantile| at(quantile).as_secs_f64() * 1e6))
    }
}
