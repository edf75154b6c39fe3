use jiff::{SignedDuration, Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use super::{
    Alert, Amount, CheckedEvent, DayTotals, Entry, EntryHeader, Event, EventKey, Invalid, Original,
    Pair, Placement, Position, Profile, Recount, Stamp, Totals, Zone,
    alert::Fired,
    entry::ReversedKey,
    placement::Counted,
    time::print_instant,
    totals::PairTotals,
    window::{Sum, Term},
};

/// All that an account's entries add up to, and the only thing that decides what the next one is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AccountState {
    /// Tells this account from an erased one of the same name: a random number, or 0 before the
    /// account is first written.
    pub generation: u64,
    /// The last entry's place; 0 where there is none.
    pub offset: u64,
    /// The account's settings.
    pub profile: Profile,
    pub(crate) pairs: Vec<PairTotals>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) fired: Vec<Fired>,
}

/// An entry with what windows are counted from.
pub(crate) struct Happened<'e> {
    pub(crate) entry: EntryHeader<'e>,
    /// What it adds to the count.
    pub(crate) count: i64,
    /// The instant it happened.
    pub(crate) happened: Timestamp,
}

impl Happened<'_> {
    /// Its part in the totals, by the days of `zone`.
    pub(super) fn term(&self, zone: &Zone) -> Term<'_> {
        Term {
            sum: Sum {
                amount: self.entry.amount,
                count: self.count,
            },
            category: self.entry.category.as_deref(),
            date: zone.date_of(self.happened),
        }
    }
}

/// What one event became.
pub(crate) struct Applied {
    pub(crate) entry: Entry,
    /// The alerts that it caused, in the order of their offsets.
    pub(crate) alerts: Vec<Alert>,
    /// The day that is over and counts it, with it.
    pub(crate) past: Option<DayTotals>,
}

impl AccountState {
    /// The most (meter, unit) pairs of an account.
    pub const PAIRS_MAX: usize = 32;
    /// The most bytes of an account's totals as JSON: a feed message of 256 KiB has room for some
    /// entries beside them.
    pub const TOTALS_BYTES_MAX: usize = 200 * 1024;
    /// How far ahead of now an event's time may be.
    pub const TIME_AHEAD_MAX: SignedDuration = SignedDuration::from_mins(5);

    /// The state of an account that is written for the first time.
    pub(crate) fn new(generation: u64) -> Self {
        Self {
            generation,
            ..Self::default()
        }
    }

    /// Takes out the days that are over at `now`, and forgets the months that are. `None`: nothing is,
    /// and the state is as it was.
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
        self.forget_fired(today);
        Some(ended)
    }

    /// Finds out what an event counts for at `now`, and when.
    ///
    /// # Errors
    /// `time_in_future`, `account_full`, and what forbids a reversal.
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

    /// Appends an event at `now`: the next entry and the alerts that it causes, with the totals moved.
    /// `past` is the day that its [`Placement`] names, as it is so far. The ended days were taken out
    /// before. A refusal changes nothing.
    ///
    /// # Errors
    /// Every bound that depends on the account has its own code.
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
        let entry = entry(event, placement, self.offset, total, now);
        let alerts = self.fire(&account, today, now);
        Ok(Applied {
            entry,
            alerts,
            past,
        })
    }

    /// Adds the next entry as it was recorded. It must have changed nothing but the totals of windows that
    /// are still here: no alert followed it, and its day was not over.
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

    /// Every meter's totals at `now`, or of `only` these pairs.
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

    /// About how much memory it takes, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        const FRAME: usize = 512;
        const BUDGET: usize = 256;
        FRAME
            + self
                .pairs
                .iter()
                .map(PairTotals::memory_bytes)
                .sum::<usize>()
            + BUDGET * (self.profile.budgets.len() + self.fired.len())
    }

    /// What a screen depends on besides the entries, at `now`.
    pub(crate) fn stamp(&self, now: Timestamp) -> Stamp {
        Stamp::new(self.profile.time_zone.date_of(now), self.profile.revision)
    }

    /// The days that are not over, or were not when the account last moved.
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

    /// Takes a new profile. One with other days comes with all entries counted in them: then all days
    /// that are over are answered, in place of those that were. A refusal changes nothing.
    ///
    /// # Errors
    /// When the categories of the new windows are more than fit.
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
        self.disarm_changed(&profile.budgets);
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
        counted.check_room(0)?;
        self.pairs = counted.pairs;
        Ok(over)
    }

    fn add(&mut self, pair: &Pair, term: Term<'_>, oldest: Date) -> Result<Amount, Invalid> {
        let index = match self.index_of(&pair.meter, &pair.unit) {
            Ok(index) => index,
            Err(index) => return self.add_pair(index, pair, term, oldest),
        };
        self.pairs[index].check(term)?;
        let growth = self.pairs[index].growth(term, oldest);
        if growth > 0 {
            self.check_room(growth)?;
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
        self.check_room(totals.json_bytes())?;
        let total = totals.all.amount;
        self.pairs.insert(index, totals);
        Ok(total)
    }

    /// Where the pair is, or would be: they are sorted, so that any order of the same events adds up
    /// to the same state.
    pub(super) fn index_of(&self, meter: &str, unit: &str) -> Result<usize, usize> {
        let by_name =
            |pair: &PairTotals| (pair.meter.as_str(), pair.unit.as_str()).cmp(&(meter, unit));
        self.pairs.binary_search_by(by_name)
    }

    /// Keeps every feed message below its bound: refuses what would let the totals outgrow it.
    fn check_room(&self, growth: usize) -> Result<(), Invalid> {
        if self.totals_bytes() + growth > Self::TOTALS_BYTES_MAX {
            let message =
                "the account's totals would not fit in a message: use fewer or shorter categories";
            return Err(Invalid::new("totals_too_large", message));
        }
        Ok(())
    }
}

fn entry(
    event: CheckedEvent,
    placement: Placement,
    offset: u64,
    total: Amount,
    now: Timestamp,
) -> Entry {
    let Placement {
        counted, happened, ..
    } = placement;
    let EventKey { source, id } = event.key;
    let recorded_at = print_instant(now);
    let reverses = event.reverses.map(|key| {
        if key.source == source {
            ReversedKey::SameSource(key.id)
        } else {
            ReversedKey::Other(key)
        }
    });
    Entry {
        offset,
        id,
        source,
        account: event.account,
        kind: event.kind,
        amount: counted.sum.amount,
        unit: counted.pair.unit,
        meter: counted.pair.meter,
        category: counted.category,
        description: event.description,
        time: event
            .time
            .map_or_else(|| recorded_at.clone(), |time| time.text().to_owned()),
        attributes: event.attributes,
        reverses,
        recorded_at,
        total,
        happened,
        count: counted.sum.count,
    }
}

const _: () = assert!(Event::BYTES_MAX < AccountState::TOTALS_BYTES_MAX);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// An account of one pair, which is at this offset and has this sum.
    fn state(offset: u64, sum: &str) -> AccountState {
        let window = json!({ "amount": sum, "count": 1 });
        serde_json::from_value(json!({
            "generation": 0, "offset": offset, "profile": { "time_zone": "UTC", "revision": 0 },
            "pairs": [{ "meter": "spend", "unit": "CNY", "all": window, "months": [], "days": [] }],
        }))
        .expect("the form that ledgers keep")
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
