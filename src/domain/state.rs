use jiff::{SignedDuration, Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use super::{
    Account, Alert, Amount, Budget, CheckedEvent, DayTotals, Entry, Event, Happened, Invalid,
    Original, Pair, Period, Placement, Position, Profile, Recount, Stamp, Totals, Zone,
    alert::ReachedThreshold,
    fired::FiredThresholds,
    placement::Counted,
    totals::PairTotals,
    totals::{Term, find},
};

/// Everything that an account's entries add up to. The next entry depends on nothing else.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AccountState {
    /// Distinguishes this account from an erased one of the same name: a random number, or 0 before
    /// the account's first entry or edit.
    pub generation: u64,
    /// The last entry's offset; 0 if there is none.
    pub offset: u64,
    /// The account's settings.
    pub profile: Profile,
    pub(crate) pairs: Vec<PairTotals>,
    #[serde(default, skip_serializing_if = "FiredThresholds::is_empty")]
    pub(crate) fired: FiredThresholds,
}

/// What one event did to its account.
pub(crate) struct Applied {
    pub(crate) entry: Entry,
    /// The alerts that it triggered, in the order of their offsets.
    pub(crate) alerts: Vec<Alert>,
    /// The past day that counts the event, with the event added; `None` if its day is not over.
    pub(crate) past: Option<DayTotals>,
}

impl AccountState {
    /// The most (meter, unit) pairs of an account.
    pub const PAIRS_MAX: usize = 32;
    /// The most bytes of an account's totals as JSON. A feed message of 256 KiB then has room for some
    /// entries as well.
    pub const TOTALS_BYTES_MAX: usize = 200 * 1024;
    /// The most that an event's time may be ahead of now.
    pub const TIME_AHEAD_MAX: SignedDuration = SignedDuration::from_mins(5);

    /// The state of a new account.
    pub(crate) fn new(generation: u64) -> Self {
        Self {
            generation,
            ..Self::default()
        }
    }

    /// Takes out the days that are over at `now`, and drops the months that are. Returns `None`, and
    /// changes nothing, if no day or month is over.
    pub(crate) fn take_ended(&mut self, now: Timestamp) -> Option<Vec<DayTotals>> {
        let zone = &self.profile.time_zone;
        let today = zone.date_of(now);
        if !self.pairs.iter().any(|pair| pair.has_ended(today)) {
            return None;
        }
        let oldest = zone.oldest_date(now);
        let mut ended = Vec::new();
        for totals in &mut self.pairs {
            let (meter, unit) = (totals.meter.clone(), totals.unit.clone());
            ended.extend(totals.take_ended(oldest).map(|window| DayTotals {
                date: window.start,
                meter: meter.clone(),
                unit: unit.clone(),
                sums: window.sums,
            }));
        }
        self.fired.drop_ended(&self.profile.budgets, today);
        Some(ended)
    }

    /// Finds what an event adds at `now`, and to which day.
    ///
    /// # Errors
    /// `time_in_future`, `account_full`, and the codes of a refused reversal.
    pub(crate) fn place(
        &self,
        event: &CheckedEvent,
        original: Option<&Original>,
        now: Timestamp,
    ) -> Result<Placement, Invalid> {
        let happened = event.time.as_ref().map_or(now, |time| time.instant());
        if happened.duration_since(now) > Self::TIME_AHEAD_MAX {
            let message =
                "the time is more than 5 minutes ahead of now: check the producer's clock";
            return Err(Invalid::new("time_in_future", message));
        }
        if self.offset >= Position::OFFSET_MAX {
            return Err(Invalid::new(
                "account_full",
                "the account has no offset left",
            ));
        }
        let zone = &self.profile.time_zone;
        let (date, today) = (zone.date_of(happened), zone.date_of(now));
        // To compute it takes a search in the time zone's rules, which an event of today does not need.
        let oldest = match date < today {
            true => zone.oldest_date(now),
            false => today,
        };
        Ok(Placement {
            counted: Counted::new(event, original)?,
            happened,
            date,
            today,
            oldest,
        })
    }

    /// Appends an event at `now`: adds it to the totals, and returns its entry and the alerts that it
    /// triggers. `past` is the stored day that its [`Placement`] names. The caller has taken out the days
    /// that are over. An error changes nothing.
    ///
    /// # Errors
    /// `amount_overflow`, `too_many_categories`, `too_many_meters`, `totals_too_large`.
    pub(crate) fn apply(
        &mut self,
        event: CheckedEvent,
        placement: Placement,
        mut past: Option<DayTotals>,
        now: Timestamp,
    ) -> Result<Applied, Invalid> {
        let term = placement.term();
        if let Some(day) = &past {
            day.sums.check(term)?;
        }
        let total = self.add(&placement.counted.pair, term, placement.oldest)?;
        if let Some(day) = &mut past {
            day.sums.add(term);
        }
        self.offset += 1;
        let today = placement.today;
        let account = event.account.clone();
        let entry = Entry::new(event, placement, self.offset, total, now);
        let alerts = self.fire(&account, today, now);
        Ok(Applied {
            entry,
            alerts,
            past,
        })
    }

    /// Adds an entry that the stored state lacks, as it was recorded. The entry must have changed only the
    /// totals of windows that this state still holds: it triggered no alert, and its day was not over.
    pub(crate) fn replay(&mut self, happened: &Happened<'_>) {
        let entry = &happened.entry;
        let index = self.index_of(&entry.meter, &entry.unit);
        let index = index.unwrap_or_else(|index| {
            let (meter, unit) = (entry.meter.clone(), entry.unit.clone());
            let pair = Pair {
                meter: meter.into_owned(),
                unit: unit.into_owned(),
            };
            self.pairs.insert(index, PairTotals::new(pair));
            index
        });
        let term = happened.term(&self.profile.time_zone);
        self.pairs[index].add(term, Date::MIN);
        self.offset = entry.offset;
    }

    /// The totals at `now`: of all pairs of meter and unit, or `only` of these.
    pub(crate) fn totals(&self, now: Timestamp, only: Option<&[Pair]>) -> Vec<Totals<'_>> {
        let zone = &self.profile.time_zone;
        let wanted = |pair: &&PairTotals| {
            only.is_none_or(|only| only.iter().any(|p| pair.is_of(&p.meter, &p.unit)))
        };
        let pairs = self.pairs.iter().filter(wanted);
        pairs.map(|pair| Totals::at(pair, zone, now)).collect()
    }

    /// The most bytes that all totals take as JSON in a feed message.
    pub(crate) fn totals_bytes(&self) -> usize {
        self.pairs.iter().map(PairTotals::json_bytes).sum()
    }

    /// Roughly how much memory it takes, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        const FRAME_BYTES: usize = 512;
        const BUDGET_BYTES: usize = 256;
        FRAME_BYTES
            + self
                .pairs
                .iter()
                .map(PairTotals::memory_bytes)
                .sum::<usize>()
            + BUDGET_BYTES * (self.profile.budgets.len() + self.fired.len())
    }

    /// What a client's screen depends on at `now` besides the entries.
    pub(crate) fn stamp(&self, now: Timestamp) -> Stamp {
        Stamp::new(self.profile.time_zone.date_of(now), self.profile.revision)
    }

    /// The days that were not over at the account's last change.
    pub(crate) fn open_days(&self) -> impl Iterator<Item = DayTotals> {
        self.pairs.iter().flat_map(|totals| {
            totals.days.iter().map(|window| DayTotals {
                date: window.start,
                meter: totals.meter.clone(),
                unit: totals.unit.clone(),
                sums: window.sums.clone(),
            })
        })
    }

    /// Replaces the profile. One with another time zone needs `recount`, which holds all entries counted
    /// in that zone; the result is then all days that are over, and replaces the stored ones. An error
    /// changes nothing.
    ///
    /// # Errors
    /// `too_many_categories` or `totals_too_large` in the new windows, or `amount_overflow`.
    pub(crate) fn set_profile(
        &mut self,
        profile: Profile,
        recount: Option<Recount>,
        now: Timestamp,
    ) -> Result<Option<Vec<DayTotals>>, Invalid> {
        let over = match recount {
            Some(recount) => Some(self.take_recount(&profile.time_zone, recount, now)?),
            None => None,
        };
        self.fired
            .rearm_changed(&self.profile.budgets, &profile.budgets);
        self.profile = profile;
        Ok(over)
    }

    fn take_recount(
        &mut self,
        zone: &Zone,
        recount: Recount,
        now: Timestamp,
    ) -> Result<Vec<DayTotals>, Invalid> {
        let mut counted = Self {
            pairs: self.pairs.clone(),
            ..Self::default()
        };
        let over = recount.sort_into(&mut counted.pairs, zone.oldest_date(now))?;
        counted.check_message_size(0)?;
        self.pairs = counted.pairs;
        Ok(over)
    }

    /// Appends the alerts that are due: one for each threshold that is reached in its budget's window of
    /// `today` and has not fired in it.
    fn fire(&mut self, account: &Account, today: Date, now: Timestamp) -> Vec<Alert> {
        let mut alerts = Vec::new();
        for index in 0..self.profile.budgets.len() {
            let budget = &self.profile.budgets[index];
            let start = budget.window.start(today);
            let (spent, total) = self.spent(budget, start);
            let due = budget.thresholds.iter().filter(|threshold| {
                budget.is_reached(**threshold, spent)
                    && !self.fired.contains(budget, start, **threshold)
            });
            let offsets_left =
                usize::try_from(Position::OFFSET_MAX - self.offset).unwrap_or(usize::MAX);
            let due: Vec<u16> = due.copied().take(offsets_left).collect();
            for threshold in due {
                self.offset += 1;
                let reached = ReachedThreshold {
                    offset: self.offset,
                    start,
                    threshold,
                    spent,
                    total,
                };
                let budget = &self.profile.budgets[index];
                alerts.push(Alert::new(account, budget, reached, now));
                let id = budget.id.clone();
                self.fired.insert(id, start, threshold);
            }
        }
        alerts
    }

    /// What was consumed of the budget's meter and unit: in its window, and of all time.
    fn spent(&self, budget: &Budget, start: Date) -> (Amount, Amount) {
        let Ok(index) = self.index_of(&budget.meter, &budget.unit) else {
            return (Amount::ZERO, Amount::ZERO);
        };
        let totals = &self.pairs[index];
        let windows = match budget.window {
            Period::Day => &totals.days,
            Period::Month => &totals.months,
        };
        let spent = find(windows, start).map_or(Amount::ZERO, |window| window.sums.sum.amount);
        (spent, totals.all.amount)
    }

    fn add(&mut self, pair: &Pair, term: Term<'_>, oldest: Date) -> Result<Amount, Invalid> {
        let index = match self.index_of(&pair.meter, &pair.unit) {
            Ok(index) => index,
            Err(index) => return self.add_pair(index, pair, term, oldest),
        };
        self.pairs[index].check(term)?;
        let growth = self.pairs[index].growth(term, oldest);
        if growth > 0 {
            self.check_message_size(growth)?;
        }
        self.pairs[index].add(term, oldest);
        Ok(self.pairs[index].all.amount)
    }

    fn add_pair(
        &mut self,
        index: usize,
        pair: &Pair,
        term: Term<'_>,
        oldest: Date,
    ) -> Result<Amount, Invalid> {
        if self.pairs.len() >= Self::PAIRS_MAX {
            let message = "an account has at most 32 pairs of meter and unit";
            return Err(Invalid::new("too_many_meters", message));
        }
        let mut totals = PairTotals::new(pair.clone());
        totals.check(term)?;
        totals.add(term, oldest);
        self.check_message_size(totals.json_bytes())?;
        let total = totals.all.amount;
        self.pairs.insert(index, totals);
        Ok(total)
    }

    /// The index of a pair, or the index to insert it at. Pairs are sorted, so that the same events add up
    /// to the same state in any order.
    pub(super) fn index_of(&self, meter: &str, unit: &str) -> Result<usize, usize> {
        let by_name =
            |pair: &PairTotals| (pair.meter.as_str(), pair.unit.as_str()).cmp(&(meter, unit));
        self.pairs.binary_search_by(by_name)
    }

    /// Refuses what would let the totals outgrow a feed message.
    fn check_message_size(&self, growth: usize) -> Result<(), Invalid> {
        if self.totals_bytes() + growth > Self::TOTALS_BYTES_MAX {
            let message =
                "the account's totals would not fit in a message: use fewer or shorter categories";
            return Err(Invalid::new("totals_too_large", message));
        }
        Ok(())
    }
}

const _: () = assert!(Event::BYTES_MAX < AccountState::TOTALS_BYTES_MAX);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// An account at this offset, with one pair that has this sum.
    fn state(offset: u64, sum: &str) -> AccountState {
        let window = json!({ "amount": sum, "count": 1 });
        serde_json::from_value(json!({
            "generation": 0, "offset": offset, "profile": { "time_zone": "UTC", "revision": 0 },
            "pairs": [{ "meter": "spend", "unit": "CNY", "all": window, "months": [], "days": [] }],
        }))
        .expect("the format that ledgers store")
    }

    fn adjusted(state: &mut AccountState, amount: &str) -> Result<Entry, Invalid> {
        let event = Event::adjustment("id", "alice", amount, "CNY", "why");
        let (event, now) = (event.check()?, Timestamp::UNIX_EPOCH);
        let placement = state.place(&event, None, now)?;
        Ok(state.apply(event, placement, None, now)?.entry)
    }

    #[test]
    fn a_sum_that_does_not_fit_is_refused() {
        const MAX: &str = "170141183460469231731687303715.884105727";
        const MIN: &str = "-170141183460469231731687303715.884105728";
        for (sum, least) in [(MAX, "0.000000001"), (MIN, "-0.000000001")] {
            let mut full = state(1, sum);
            let before = full.clone();
            let refused = adjusted(&mut full, least).unwrap_err();
            assert_eq!(refused.code(), "amount_overflow");
            assert_eq!(full, before, "a refusal changes nothing");
            let entry = adjusted(&mut full, "0").unwrap();
            assert_eq!(entry.total.to_string(), sum);
        }
    }

    #[test]
    fn offsets_stay_exact_in_javascript() {
        let mut state = state(Position::OFFSET_MAX - 1, "1");
        assert_eq!(
            adjusted(&mut state, "1").unwrap().offset,
            Position::OFFSET_MAX
        );
        assert_eq!(
            adjusted(&mut state, "1").unwrap_err().code(),
            "account_full"
        );
        assert_eq!(state.offset, Position::OFFSET_MAX);
    }
}
