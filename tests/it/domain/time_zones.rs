//! Days and months in every time zone: simulated years, around the moments at which clocks
//! are set forward, back, over midnight, or over a whole day.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use serde_json::{Value, json};
use tallycast::{
    Account, Event, SubscribeOptions, Subscription,
    domain::{Period, ProfileChange, Zone},
};

use crate::support::{
    model::zone,
    test_feed::{TestFeed, take},
};

const DAY: i64 = 86_400;
/// From 2000 to before 2040, in seconds.
const YEARS: std::ops::Range<i64> = 946_684_800..2_208_988_800;
/// Of the transitions far from midnight, which hardly matter here, one in this many is
/// tested.
const STRIDE: usize = 16;

/// An account in one zone, with a subscription that stays open.
struct Walk {
    zone: TimeZone,
    test_feed: TestFeed,
    subscription: Subscription,
    /// The date in the last message.
    shown: Date,
    /// The number of entries on each local date, computed with jiff.
    days: BTreeMap<Date, u64>,
    next: u32,
}

impl Walk {
    async fn begin(name: &str, begin: Timestamp) -> Self {
        let test_feed = TestFeed::open();
        test_feed.set_clock(&begin.to_string());
        test_feed
            .edit(ProfileChange {
                time_zone: Some(name.to_owned()),
                ..ProfileChange::default()
            })
            .await;
        let alice = Account::parse("alice").unwrap();
        let mut subscription = test_feed.feed.subscribe(alice, SubscribeOptions::default());
        assert_eq!(take(&mut subscription).await["type"], "snapshot");
        assert_eq!(take(&mut subscription).await["type"], "live");
        let zone = zone(name);
        Self {
            shown: zone.to_datetime(begin).date(),
            zone,
            test_feed,
            subscription,
            days: BTreeMap::new(),
            next: 0,
        }
    }

    /// Sets the clock to `now` and records three events: a millisecond before, at, and after it.
    async fn step(&mut self, now: Timestamp) {
        self.test_feed.set_clock(&now.to_string());
        let today = self.zone.to_datetime(now).date();
        if self.shown != today {
            let rollover = take(&mut self.subscription).await;
            assert_eq!(rollover["type"], "rollover");
            self.check(&rollover["totals"], today);
            self.shown = today;
        }
        let mut events = Vec::new();
        for millis in [-1, 0, 1] {
            let time = now + SignedDuration::from_millis(millis);
            let date = self.zone.to_datetime(time).date();
            *self.days.entry(date).or_default() += 1;
            self.next += 1;
            let event = Event::consumption(self.next.to_string(), "alice", "1", "CNY");
            events.push(event.with_time(time.to_string()));
        }
        self.test_feed.record(events).await;
        // A needless rollover would come first.
        let update = take(&mut self.subscription).await;
        assert_eq!(update["type"], "update");
        self.check(&update["totals"], today);
    }

    /// Asserts that these are the totals of this date.
    fn check(&self, totals: &Value, today: Date) {
        let Some(pair) = totals.as_array().unwrap().first() else {
            assert!(self.days.is_empty());
            return;
        };
        let in_month = self
            .days
            .range(today.first_of_month()..=today.last_of_month());
        let month: u64 = in_month.map(|(_, count)| count).sum();
        let day = self.days.get(&today).copied().unwrap_or(0);
        for (window, start, count) in [
            ("day", today, day),
            ("month", today.first_of_month(), month),
        ] {
            assert_eq!(pair[window]["start"], start.to_string());
            assert_eq!(pair[window]["count"], count, "{window} of {today}");
            assert_eq!(pair[window]["amount"], count.to_string());
        }
    }

    async fn finish(self) {
        let mut months = BTreeMap::new();
        for (date, count) in &self.days {
            *months.entry(date.first_of_month()).or_default() += count;
        }
        for (by, expected) in [(Period::Day, self.days), (Period::Month, months)] {
            let alice = Account::parse("alice").unwrap();
            let ever = (Date::constant(1800, 1, 1), Date::constant(2100, 1, 1));
            let past = self.test_feed.feed.past_totals(&alice, by, ever.0, ever.1);
            let past = serde_json::to_value(past.await.unwrap()).unwrap();
            let rows = past["totals"].as_array().unwrap().iter();
            let told: Vec<_> = rows
                .map(|row| (row["start"].clone(), row["count"].clone()))
                .collect();
            let expected = expected.iter();
            let expected: Vec<_> = expected
                .map(|(start, count)| (json!(start.to_string()), json!(count)))
                .collect();
            assert_eq!(told, expected);
        }
    }
}

/// Each transition of a zone, the midnights around it, and the millisecond before each.
fn moments(zone: &TimeZone) -> BTreeSet<Timestamp> {
    let mut moments = BTreeSet::new();
    let transitions = zone.following(Timestamp::MIN);
    let transitions = transitions.take_while(|next| next.timestamp().as_second() < YEARS.end);
    for (index, transition) in transitions.enumerate() {
        let at = transition.timestamp();
        let offset = |at: Timestamp| i64::from(zone.to_offset(at).seconds());
        let (before, after) = (offset(at - SignedDuration::from_secs(1)), offset(at));
        let is_of_these_years = YEARS.contains(&at.as_second());
        let near_midnight = [before, after].iter().any(|offset| {
            let local = (at.as_second() + offset).rem_euclid(DAY);
            local.min(DAY - local) <= 3_600
        });
        let skips_a_day = (after - before).abs() > DAY / 2;
        let is_walked = is_of_these_years && (near_midnight || index.is_multiple_of(STRIDE));
        if !is_walked && !skips_a_day {
            continue;
        }
        let last = (at.as_second() + before).div_euclid(DAY) * DAY - before;
        let next = ((at.as_second() + after).div_euclid(DAY) + 1) * DAY - after;
        for second in [last, at.as_second(), next] {
            let moment = Timestamp::from_second(second).unwrap();
            moments.extend([moment - SignedDuration::from_millis(1), moment]);
        }
    }
    moments
}

#[tokio::test]
async fn days_and_months_turn_as_every_zone_says() {
    let mut walked = 0;
    let mut seen = BTreeSet::new();
    for name in Zone::names() {
        let zone = zone(&name);
        let mut moments: Vec<_> = moments(&zone).into_iter().collect();
        let dates = moments.iter().map(|at| (*at, zone.to_datetime(*at)));
        if !seen.insert(dates.collect::<Vec<_>>()) {
            // Another name of the same clock: it is enough that the name works.
            moments.drain(..moments.len().saturating_sub(6));
        }
        let Some(first) = moments.first() else {
            continue;
        };
        let mut walk = Walk::begin(&name, *first - SignedDuration::from_hours(1)).await;
        for moment in &moments {
            walk.step(*moment).await;
        }
        walked += moments.len();
        walk.finish().await;
    }
    println!("{walked} moments in {} clocks", seen.len());
    assert!(walked > 10_000, "only {walked} moments were tested");
}
