use std::time::Duration;

use tokio::time::Instant;

/// How often something has happened in the current second. A second begins with the first time after the one before,
/// so that no timer is needed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PerSecond {
    begun_at: Option<Instant>,
    count: u32,
}

const SECOND: Duration = Duration::from_secs(1);

impl PerSecond {
    /// Counts one more, and returns how many that makes in its second.
    pub(crate) fn count(&mut self, now: Instant) -> u32 {
        if self.ends_at().is_none_or(|end| now >= end) {
            self.begun_at = Some(now);
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        self.count
    }

    /// When the current second ends, if more than `max` were counted in it.
    pub(crate) fn exceeded_until(&self, max: u32, now: Instant) -> Option<Instant> {
        self.ends_at().filter(|end| self.count > max && now < *end)
    }

    fn ends_at(&self) -> Option<Instant> {
        self.begun_at.map(|begun_at| begun_at + SECOND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_begins_with_the_first_and_the_next_one_anew() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut counter = PerSecond::default();
        assert_eq!(counter.exceeded_until(0, start), None);
        assert_eq!(counter.count(start), 1);
        assert_eq!(counter.count(at(999)), 2);
        assert_eq!(counter.exceeded_until(1, at(999)), Some(at(1_000)));
        assert_eq!(counter.exceeded_until(2, at(999)), None);
        assert_eq!(counter.exceeded_until(1, at(1_000)), None);
        assert_eq!(counter.count(at(1_000)), 1);
        assert_eq!(counter.count(at(60_000)), 1);
    }
}
