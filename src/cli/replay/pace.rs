use std::{str::FromStr, time::Duration};

use jiff::Timestamp;
use tokio::time::Instant;

/// How fast a file is replayed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Speed {
    /// As fast as the server accepts events.
    Max,
    /// The time between the file's events, divided by this factor.
    Factor(f64),
    /// Events per second.
    Rate(f64),
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, speed): (_, fn(f64) -> Self) = match text {
            "max" => return Ok(Self::Max),
            _ => match (text.strip_suffix('x'), text.strip_suffix("/s")) {
                (Some(factor), _) => (factor, Self::Factor),
                (_, Some(rate)) => (rate, Self::Rate),
                (None, None) => (text, Self::Factor),
            },
        };
        match number.parse::<f64>() {
            Ok(number) if number.is_finite() && number > 0.0 => Ok(speed(number)),
            _ => Err("write `max`, a factor such as `3600x`, or a rate such as `50/s`".to_owned()),
        }
    }
}

/// Computes when each event is due.
#[derive(Debug)]
pub(super) struct Pace {
    speed: Speed,
    start: Option<(Instant, Timestamp)>,
    events: f64,
    last: Duration,
}

/// The longest wait since the start: a longer one could overflow an instant.
const WAIT_SECONDS_MAX: f64 = 1e9;

impl Pace {
    pub(super) fn new(speed: Speed) -> Self {
        Self {
            speed,
            start: None,
            events: 0.0,
            last: Duration::ZERO,
        }
    }

    /// When the next event, which happened at `happened`, is due; `None` means now. The first event is due at once,
    /// and no event is due before the one ahead of it.
    pub(super) fn due(&mut self, happened: Timestamp) -> Option<Instant> {
        let now = Instant::now();
        let (start, first) = *self.start.get_or_insert((now, happened));
        let seconds = match self.speed {
            Speed::Max => return None,
            Speed::Factor(factor) => happened.duration_since(first).as_secs_f64() / factor,
            Speed::Rate(rate) => self.events / rate,
        };
        self.events += 1.0;
        let since_start = Duration::from_secs_f64(seconds.clamp(0.0, WAIT_SECONDS_MAX));
        self.last = self.last.max(since_start);
        let due = start + self.last;
        (due > now).then_some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_max_a_factor_or_a_rate() {
        assert_eq!("max".parse(), Ok(Speed::Max));
        assert_eq!("3600x".parse(), Ok(Speed::Factor(3600.0)));
        assert_eq!("0.5".parse(), Ok(Speed::Factor(0.5)));
        assert_eq!("50/s".parse(), Ok(Speed::Rate(50.0)));
        for bad in ["", "fast", "0x", "-1/s", "NaN/s", "infx", "x", "/s"] {
            assert!(bad.parse::<Speed>().is_err(), "{bad}");
        }
    }

    fn dues(speed: Speed, seconds: &[i64]) -> Vec<Duration> {
        let mut pace = Pace::new(speed);
        let start = Instant::now();
        let due = |second: &i64| pace.due(Timestamp::from_second(*second).unwrap());
        let dues = seconds.iter().map(due).collect::<Vec<_>>();
        let since = |due: Option<Instant>| due.map_or(Duration::ZERO, |due| due - start);
        dues.into_iter().map(since).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_factor_shortens_the_time_between_events_and_never_goes_back() {
        let ms = Duration::from_millis;
        let dues = dues(Speed::Factor(10.0), &[100, 110, 105, 130]);
        assert_eq!(dues, [ms(0), ms(1000), ms(1000), ms(3000)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_ignores_the_time_between_events() {
        let ms = Duration::from_millis;
        assert_eq!(
            dues(Speed::Rate(4.0), &[0, 0, 9]),
            [ms(0), ms(250), ms(500)]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_time_span_does_not_overflow() {
        let ends = [Timestamp::MIN.as_second(), Timestamp::MAX.as_second()];
        assert!(dues(Speed::Factor(1e-300), &ends)[1] > Duration::from_secs(1));
    }
}
