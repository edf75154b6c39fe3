use jiff::{SignedDuration, Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use super::{
    Amount, CheckedEvent, Entry, EntryHeader, Event, EventKey, Invalid, Kind, Pair, Position,
    Profile, Stamp, Totals, Zone,
    entry::ReversedKey,
    time::print_instant,
    totals::{PairTotals, Sum, Term, month_of},
};

/// All that an account's entries add up to, and the only thing that decides what the next one is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AccountState {
    /// Tells this account from an erased one of the same name: how often it was erased.
    pub generation: u64,
    /// The last entry's place; 0 where there is none.
    pub offset: u64,
    /// The account's settings.
    pub profile: Profile,
    pub(crate) pairs: Vec<PairTotals>,
}

/// The entry that a reversal takes back.
#[derive(Debug, Clone)]
pub(crate) struct Original {
    /// Its place in the account.
    pub offset: u64,
    /// Whether another reversal took it back before.
    pub is_reversed: bool,
    pub(crate) kind: Kind,
    pub(crate) amount: Amount,
    pub(crate) meter: String,
    pub(crate) unit: String,
    pub(crate) category: Option<String>,
}

impl Original {
    pub(crate) fn new(header: &EntryHeader<'_>, is_reversed: bool) -> Self {
        Self {
            offset: header.offset,
            is_reversed,
            kind: header.kind,
            amount: header.amount,
            meter: header.meter.clone().into_owned(),
            unit: header.unit.clone().into_owned(),
            category: header.category.as_deref().map(str::to_owned),
        }
    }
}

/// An entry with what windows are counted from.
pub(crate) struct Happened<'e> {
    pub(crate) entry: EntryHeader<'e>,
    /// What it adds to the count.
    pub(crate) count: i64,
    /// The instant it happened.
    pub(crate) happened: Timestamp,
}

/// What an event counts for, once a reversal has taken it from its original.
struct Counted {
    sum: Sum,
    pair: Pair,
    category: Option<String>,
}

impl AccountState {
    /// The most (meter, unit) pairs of an account.
    pub const PAIRS_MAX: usize = 32;
    /// The most bytes of an account's totals as JSON: a feed message of 256 KiB has room for some
    /// entries beside them.
    pub const TOTALS_BYTES_MAX: usize = 200 * 1024;
    /// How far ahead of now an event's time may be.
    pub const TIME_AHEAD_MAX: SignedDuration = SignedDuration::from_mins(5);

    /// Appends an event at `now`: the next entry, with the totals moved. A refusal changes nothing.
    ///
    /// # Errors
    /// Every bound that depends on the account has its own code.
    pub(crate) fn apply(
        &mut self,
        event: CheckedEvent,
        original: Option<&Original>,
        now: Timestamp,
    ) -> Result<Entry, Invalid> {
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
        let counted = counted(&event, original)?;
        let zone = &self.profile.time_zone;
        let today = zone.date_of(now);
        let term = Term {
            sum: counted.sum,
            category: counted.category.as_deref(),
            date: zone.date_of(happened),
        };
        for pair in &mut self.pairs {
            pair.drop_ended(today);
        }
        let total = self.add(&counted.pair, term, today)?;
        self.offset += 1;
        Ok(entry(event, counted, self.offset, total, now, happened))
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
        FRAME
            + self
                .pairs
                .iter()
                .map(PairTotals::memory_bytes)
                .sum::<usize>()
    }

    /// What a screen depends on besides the entries, at `now`.
    pub(crate) fn stamp(&self, now: Timestamp) -> Stamp {
        Stamp::new(self.profile.time_zone.date_of(now), self.profile.revision)
    }

    /// The earliest instant that a window of `zone`'s current month or day holds.
    pub(crate) fn windows_start(profile: &Profile, now: Timestamp) -> Timestamp {
        let zone = &profile.time_zone;
        zone.start_of(month_of(zone.date_of(now)))
    }

    /// Takes a new profile. Where its days are others, the current windows are counted again from
    /// `entries`: all of the account's since `windows_start`. A refusal changes nothing.
    ///
    /// # Errors
    /// When the categories of the new windows are more than fit.
    pub(crate) fn set_profile<'e>(
        &mut self,
        profile: Profile,
        entries: impl Iterator<Item = Happened<'e>>,
        now: Timestamp,
    ) -> Result<(), Invalid> {
        if profile.time_zone != self.profile.time_zone {
            self.pairs = self.pairs_in(&profile.time_zone, entries, now)?;
        }
        self.profile = profile;
        Ok(())
    }

    fn pairs_in<'e>(
        &self,
        zone: &Zone,
        entries: impl Iterator<Item = Happened<'e>>,
        now: Timestamp,
    ) -> Result<Vec<PairTotals>, Invalid> {
        let today = zone.date_of(now);
        let mut counted = Self {
            pairs: self.pairs.clone(),
            ..Self::default()
        };
        for pair in &mut counted.pairs {
            pair.months.clear();
            pair.days.clear();
        }
        for Happened {
            entry,
            count,
            happened,
        } in entries
        {
            let Ok(index) = counted.index_of(&entry.meter, &entry.unit) else {
                continue;
            };
            let amount = entry.amount;
            let term = Term {
                sum: Sum { amount, count },
                category: entry.category.as_deref(),
                date: zone.date_of(happened),
            };
            counted.pairs[index].check_windows(term)?;
            counted.pairs[index].add_to_windows(term, today);
        }
        counted.check_room(0)?;
        Ok(counted.pairs)
    }

    fn add(&mut self, pair: &Pair, term: Term<'_>, today: Date) -> Result<Amount, Invalid> {
        let index = match self.index_of(&pair.meter, &pair.unit) {
            Ok(index) => index,
            Err(index) => return self.add_pair(index, pair, term, today),
        };
        self.pairs[index].check(term)?;
        let growth = self.pairs[index].growth(term, today);
        if growth > 0 {
            self.check_room(growth)?;
        }
        self.pairs[index].add(term, today);
        Ok(self.pairs[index].all.amount)
    }

    fn add_pair(
        &mut self,
        index: usize,
        pair: &Pair,
        term: Term<'_>,
        today: Date,
    ) -> Result<Amount, Invalid> {
        if self.pairs.len() >= Self::PAIRS_MAX {
            let message = "an account has at most 32 pairs of meter and unit";
            return Err(Invalid::new("too_many_meters", message));
        }
        let mut totals = PairTotals::new(pair.clone());
        totals.check(term)?;
        totals.add(term, today);
        self.check_room(totals.json_bytes())?;
        let total = totals.all.amount;
        self.pairs.insert(index, totals);
        Ok(total)
    }

    /// Where the pair is, or would be: they are sorted, so that any order of the same events adds up
    /// to the same state.
    fn index_of(&self, meter: &str, unit: &str) -> Result<usize, usize> {
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

fn counted(event: &CheckedEvent, original: Option<&Original>) -> Result<Counted, Invalid> {
    if event.kind != Kind::Reversal {
        let amount = event
            .amount
            .expect("a checked event that is no reversal has an amount");
        return Ok(Counted {
            sum: Sum {
                amount,
                count: i64::from(event.kind == Kind::Consumption),
            },
            pair: Pair {
                meter: event.meter.clone(),
                unit: event.unit.clone(),
            },
            category: event.category.clone(),
        });
    }
    let Some(original) = original else {
        let message = "the reversed event is not in the ledger (yet): send it, then try again";
        return Err(Invalid::new("unknown_original", message));
    };
    if original.is_reversed {
        let message = "the event was reversed before, by another reversal";
        return Err(Invalid::new("already_reversed", message));
    }
    if !matches!(original.kind, Kind::Consumption | Kind::Adjustment) {
        let message = "only consumption and adjustments can be reversed: record them anew instead";
        return Err(Invalid::new("not_reversible", message));
    }
    let amount = original.amount.checked_neg();
    Ok(Counted {
        sum: Sum {
            amount: amount.expect("an event's amount is far from the smallest number"),
            count: -i64::from(original.kind == Kind::Consumption),
        },
        pair: Pair {
            meter: original.meter.clone(),
            unit: original.unit.clone(),
        },
        category: original.category.clone(),
    })
}

fn entry(
    event: CheckedEvent,
    counted: Counted,
    offset: u64,
    total: Amount,
    now: Timestamp,
    happened: Timestamp,
) -> Entry {
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
        state.apply(event.check()?, None, Timestamp::UNIX_EPOCH)
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
