use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use jiff::{SignedDuration, Timestamp, ToSpan, Zoned, tz::TimeZone};
use tallycast::{
    Account, AppendError, Event, Feed, Outcome,
    domain::{Amount, Budget, Period, ProfileChange, Zone},
};

use super::{
    error::DemoError,
    purchases::{ACCOUNTS, Purchases, UNIT, accounts, title},
};

/// How many days back the purchases go: a whole month, and part of the one before.
pub(super) const DAYS: i64 = 40;
/// About a dozen for each account.
const PURCHASES_PER_DAY: i32 = 12 * ACCOUNTS.cast_signed();
/// More, so that the live purchases do not dwarf today's.
const PURCHASES_TODAY: i32 = 40 * ACCOUNTS.cast_signed();
/// Events per append.
const BATCH_EVENTS: usize = 1_000;

const THRESHOLDS: [u16; 3] = [50, 80, 100];
/// How much of its limit a budget has spent when the demo starts (percent, from and to). The day's budget is about to
/// reach the next threshold; the month's is further away.
const DAY_SPENT: [u128; 2] = [75, 79];
const MONTH_SPENT: [u128; 2] = [60, 70];
/// A limit is a multiple of the first of these that fits (dollars).
const ROUND_DOLLARS: [u128; 9] = [5_000, 1_000, 500, 100, 50, 20, 10, 5, 1];
const NANOS_PER_CENT: u128 = 10_000_000;

/// The purchases from before the start of the demo, taken from the same data.
#[derive(Debug)]
pub(super) struct PastPurchases {
    zone: TimeZone,
    spent: BTreeMap<Account, AccountSpending>,
    events: Vec<Event>,
}

#[derive(Clone, Copy, Debug, Default)]
struct AccountSpending {
    today: Amount,
    this_month: Amount,
}

/// The machine's time zone, or UTC if the ledger does not know it.
pub(super) fn time_zone() -> TimeZone {
    let system = TimeZone::system();
    let is_known = |name| Zone::parse(name).is_ok();
    match system.iana_name().is_some_and(is_known) {
        true => system,
        false => TimeZone::UTC,
    }
}

impl PastPurchases {
    /// Spreads the next purchases over the days before `now`, and over today up to `now`.
    pub(super) fn until(now: &Zoned, purchases: &mut Purchases) -> Self {
        let mut past = Self {
            zone: now.time_zone().clone(),
            spent: accounts()
                .map(|account| (account, AccountSpending::default()))
                .collect(),
            events: Vec::new(),
        };
        for days in (0..=DAYS).rev() {
            let start = midnight(now, days);
            let (end, count) = match days {
                0 => (now.clone(), PURCHASES_TODAY),
                days => (midnight(now, days - 1), PURCHASES_PER_DAY),
            };
            let is_this_month = start.date().first_of_month() == now.date().first_of_month();
            for time in times(start.timestamp(), end.timestamp(), count) {
                let purchase = purchases.next_purchase();
                let spent = past.spent.entry(purchase.account).or_default();
                if days == 0 {
                    add(&mut spent.today, purchase.dollars);
                }
                if is_this_month {
                    add(&mut spent.this_month, purchase.dollars);
                }
                // Whole seconds, rounded down, so that no time is after now.
                past.events
                    .push(purchase.event.with_time(format_args!("{time:.0}")));
            }
        }
        past
    }

    /// Writes a profile for each account, then records the purchases.
    pub(super) async fn record(self, feed: &Feed) -> Result<(), DemoError> {
        let profiles = self.spent.iter();
        let profiles = profiles
            .map(|(account, spent)| feed.set_profile(account, self.profile(account, *spent)));
        try_join_all(profiles).await?;
        for batch in self.events.chunks(BATCH_EVENTS) {
            let outcomes = feed.append_all(batch.to_vec()).await;
            for outcome in outcomes.map_err(AppendError::from)? {
                if let Outcome::Rejected(invalid) | Outcome::Conflict(invalid) = outcome {
                    return Err(AppendError::Rejected(invalid).into());
                }
            }
        }
        Ok(())
    }

    fn profile(&self, account: &Account, spent: AccountSpending) -> ProfileChange {
        // The page shows a budget's id as its name.
        let day = Budget::new("Today", Period::Day, limit(spent.today, DAY_SPENT), UNIT);
        let month = limit(spent.this_month, MONTH_SPENT);
        let month = Budget::new("This month", Period::Month, month, UNIT);
        ProfileChange {
            name: Some(title(account)),
            time_zone: self.zone.iana_name().map(str::to_owned),
            budgets: [day, month]
                .map(|budget| budget.with_thresholds(THRESHOLDS))
                .into(),
            if_revision: None,
        }
    }
}

/// The start of the local day that was `days` days ago.
fn midnight(now: &Zoned, days: i64) -> Zoned {
    let day = now.checked_sub(days.days());
    day.and_then(|day| day.start_of_day())
        .expect("the calendar reaches back this many days")
}

/// `count` instants, evenly spaced from `start` to `end`.
fn times(start: Timestamp, end: Timestamp, count: i32) -> impl Iterator<Item = Timestamp> {
    let length: SignedDuration = end.duration_since(start);
    (0..count).map(move |number| start + length * number / count)
}

fn add(sum: &mut Amount, dollars: Amount) {
    *sum = sum.checked_add(dollars).expect("a few thousand dollars");
}

/// The roundest limit of which `spent` is between these two percentages.
fn limit(spent: Amount, [least, most]: [u128; 2]) -> Amount {
    let cents = spent.nanos().unsigned_abs() / NANOS_PER_CENT;
    // Cents divided by percent are dollars.
    let (low, high) = (cents.div_ceil(most).max(1), cents / least);
    let multiples = ROUND_DOLLARS
        .iter()
        .map(|round| low.div_ceil(*round) * round);
    let dollars = multiples.into_iter().find(|dollars| *dollars <= high);
    let dollars = dollars.unwrap_or(low).to_string();
    dollars.parse().expect("a whole number of few digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Past purchases as of several days of a year, each with the purchases that come next.
    fn samples() -> impl Iterator<Item = (Zoned, PastPurchases, Purchases)> {
        let first: Zoned = "2026-01-01T00:00:07+08:00[Asia/Shanghai]".parse().unwrap();
        (0..365).step_by(23).map(move |days| {
            let now = &first + (days.days().hours(days % 24));
            let mut purchases = Purchases::read();
            let past = PastPurchases::until(&now, &mut purchases);
            (now, past, purchases)
        })
    }

    #[test]
    fn the_help_states_the_number_of_past_purchases() {
        for (_, past, _) in samples() {
            assert_eq!(past.events.len(), 6_240);
        }
    }

    #[test]
    fn a_time_is_never_before_the_one_before_and_never_after_now() {
        let first: Zoned = "2026-01-01T00:00:07+08:00[Asia/Shanghai]".parse().unwrap();
        let (start, end) = (midnight(&first, 0).timestamp(), first.timestamp());
        let times: Vec<_> = times(start, end, 480).collect();
        assert!(times.is_sorted());
        assert!(*times.first().unwrap() >= start && *times.last().unwrap() <= end);
        assert_eq!(
            midnight(&first, DAYS).to_string(),
            "2025-11-22T00:00:00+08:00[Asia/Shanghai]"
        );
    }

    #[test]
    fn the_first_account_is_about_to_reach_a_threshold_of_its_day() {
        for (now, past, mut purchases) in samples() {
            let account = accounts().next().unwrap();
            let spent = past.spent[&account];
            let profile = past.profile(&account, spent);
            let [day, month] = &profile.budgets[..] else {
                panic!("two budgets: {profile:?}");
            };
            let percent = |spent: Amount, limit: Amount| spent.nanos() * 100 / limit.nanos();
            assert!(
                (75..79).contains(&percent(spent.today, day.limit)),
                "{now}: {profile:?}"
            );
            assert!(
                (60..70).contains(&percent(spent.this_month, month.limit)),
                "{now}: {profile:?}"
            );

            let minute = (0..60 * 2).map(|_| purchases.next_purchase());
            let mut after = spent.today;
            for purchase in minute.filter(|purchase| purchase.account == account) {
                add(&mut after, purchase.dollars);
            }
            assert!(percent(after, day.limit) >= 80, "{now}: {after}");
        }
    }

    #[test]
    fn a_limit_is_the_roundest_that_fits() {
        for (spent, expected) in [
            ("351.20", "450"),
            ("77.00", "100"),
            ("9021.34", "12000"),
            ("0", "1"),
        ] {
            assert_eq!(
                limit(spent.parse().unwrap(), DAY_SPENT).to_string(),
                expected
            );
        }
    }
}
