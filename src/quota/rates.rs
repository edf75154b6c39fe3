//! Rates per client, by the generic cell rate algorithm (ITU-T I.371): for each client only the time at which it will
//! have used nothing is stored.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{client::Key, settings::Quotas, too_many::TooMany};
use crate::limit_report::LimitReport;

/// The most clients that one rate remembers; it bounds a table to 2 MiB. Who has used nothing of late is forgotten.
/// If that frees no place, further clients share one budget.
const CLIENTS_MAX: usize = 64 * 1024;

/// How often at most a full table is searched for clients to forget.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// One rate, for each client.
#[derive(Debug)]
pub(super) struct Rates {
    per_second: u32,
    report: &'static LimitReport,
    started_at: Instant,
    table: Mutex<RateTable>,
}

/// Times are nanoseconds since the start.
#[derive(Debug, Default)]
struct RateTable {
    /// When each client will have used nothing.
    free_at: HashMap<Key, u64>,
    /// The same for all clients that find no place.
    others_free_at: u64,
    swept_at: Option<u64>,
}

impl Rates {
    pub(super) fn new(per_second: u32, report: &'static LimitReport) -> Self {
        Self {
            per_second: per_second.max(1),
            report,
            started_at: Instant::now(),
            table: Mutex::default(),
        }
    }

    /// Uses `amount`. More than a whole burst is allowed once a burst is, and then used for longer.
    ///
    /// # Errors
    /// When to come back. Nothing is used then.
    pub(super) fn take(&self, client: Key, amount: u32) -> Result<(), TooMany> {
        self.try_take(client, amount).map_err(|wait| {
            let per_second = usize::try_from(self.per_second);
            self.report.turned_away(per_second.unwrap_or(usize::MAX));
            TooMany::OfClient(wait)
        })
    }

    /// Uses one, and waits for it for at most `wait_max`. Cancel-safe.
    ///
    /// # Errors
    /// As for [`take`](Self::take).
    pub(super) async fn take_within(&self, client: Key, wait_max: Duration) -> Result<(), TooMany> {
        let Err(wait) = self.try_take(client, 1) else {
            return Ok(());
        };
        tokio::time::sleep(wait.min(wait_max)).await;
        self.take(client, 1)
    }

    fn try_take(&self, client: Key, amount: u32) -> Result<(), Duration> {
        let now = self.now();
        let burst = self.nanos(self.per_second.saturating_mul(Quotas::BURST_SECONDS));
        let used = self.nanos(amount);
        self.change(client, now, |free_at| {
            let allowed_from = (*free_at + used.min(burst)).saturating_sub(burst);
            if allowed_from > now {
                return Err(Duration::from_nanos(allowed_from - now));
            }
            *free_at += used;
            Ok(())
        })
    }

    /// Uses `amount`, even if it is not free.
    pub(super) fn charge(&self, client: Key, amount: u32) {
        let used = self.nanos(amount);
        self.change(client, self.now(), |free_at| *free_at += used);
    }

    /// Gives back `amount`.
    pub(super) fn refund(&self, client: Key, amount: u32) {
        let (now, used) = (self.now(), self.nanos(amount));
        self.change(client, now, |free_at| {
            *free_at = free_at.saturating_sub(used).max(now);
        });
    }

    /// Changes when the client is free, which is now at the earliest.
    fn change<T>(&self, client: Key, now: u64, change: impl FnOnce(&mut u64) -> T) -> T {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let free_at = table.place_of(client, now);
        *free_at = (*free_at).max(now);
        change(free_at)
    }

    fn nanos(&self, amount: u32) -> u64 {
        u64::from(amount) * (1_000_000_000 / u64::from(self.per_second))
    }

    fn now(&self) -> u64 {
        let nanos = self.started_at.elapsed().as_nanos();
        u64::try_from(nanos).expect("no process runs for 500 years")
    }
}

impl RateTable {
    fn place_of(&mut self, client: Key, now: u64) -> &mut u64 {
        if self.free_at.len() >= CLIENTS_MAX && !self.free_at.contains_key(&client) {
            self.sweep(now);
            if self.free_at.len() >= CLIENTS_MAX {
                return &mut self.others_free_at;
            }
        }
        self.free_at.entry(client).or_insert(now)
    }

    fn sweep(&mut self, now: u64) {
        let interval = u64::try_from(SWEEP_INTERVAL.as_nanos()).expect("a second fits");
        if self
            .swept_at
            .is_none_or(|swept_at| now - swept_at >= interval)
        {
            self.swept_at = Some(now);
            self.free_at.retain(|_, free_at| *free_at > now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::client::Keys;

    static REPORT: LimitReport = LimitReport::new("test_rate", "it is used up");

    fn rates(per_second: u32) -> Rates {
        Rates::new(per_second, &REPORT)
    }

    #[test]
    fn burst_is_allowed_and_then_the_rate() {
        let (rates, alice) = (rates(1), Keys::default().of("alice"));
        for _ in 0..Quotas::BURST_SECONDS {
            assert_eq!(rates.try_take(alice, 1), Ok(()));
        }
        let wait = rates.try_take(alice, 1).unwrap_err();
        assert!(
            wait > Duration::from_millis(900) && wait <= Duration::from_secs(1),
            "{wait:?}"
        );
        rates.refund(alice, 1);
        assert_eq!(rates.try_take(alice, 1), Ok(()));
    }

    #[test]
    fn more_than_a_burst_is_allowed_once_and_paid_for() {
        let (rates, alice) = (rates(1), Keys::default().of("alice"));
        assert_eq!(rates.try_take(alice, 100), Ok(()));
        let wait = rates.try_take(alice, 1).unwrap_err();
        assert!(wait > Duration::from_secs(90), "{wait:?}");
    }

    #[test]
    fn table_is_bounded_and_newcomers_share_what_is_left() {
        let (rates, keys) = (rates(1), Keys::default());
        for client in 0..CLIENTS_MAX {
            rates.charge(keys.of(client), 3_600);
        }
        for newcomer in 0..Quotas::BURST_SECONDS {
            assert_eq!(rates.try_take(keys.of(("new", newcomer)), 1), Ok(()));
        }
        assert!(rates.try_take(keys.of("one more"), 1).is_err());
        assert_eq!(rates.table.lock().unwrap().free_at.len(), CLIENTS_MAX);
    }

    #[test]
    fn clients_that_have_used_nothing_of_late_are_forgotten() {
        let (rates, keys) = (rates(u32::MAX), Keys::default());
        for client in 0..=CLIENTS_MAX {
            assert_eq!(rates.try_take(keys.of(client), 1), Ok(()));
        }
        assert!(rates.table.lock().unwrap().free_at.len() < CLIENTS_MAX);
    }
}
