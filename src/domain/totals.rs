use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan, civil::Date};
use serde::{Deserialize, Serialize};

use super::{Amount, Invalid, Zone};

/// What totals are kept per: a meter and its unit, never summed across units.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Pair {
    pub(crate) meter: String,
    pub(crate) unit: String,
}

/// The sums of one meter and unit, as the ledger keeps them: all time, and the months and days that
/// are not over yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PairTotals {
    pub(crate) meter: String,
    pub(crate) unit: String,
    pub(crate) all: Sum,
    /// This month's and, minutes before its end, the next one's.
    pub(crate) months: Vec<Window>,
    /// Today's and, minutes before midnight, tomorrow's.
    pub(crate) days: Vec<Window>,
}

/// A sum, and how many consumptions are in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sum {
    pub(crate) amount: Amount,
    pub(crate) count: i64,
}

impl Sum {
    fn checked_add(self, other: Self) -> Option<Self> {
        Some(Self {
            amount: self.amount.checked_add(other.amount)?,
            count: self.count.checked_add(other.count)?,
        })
    }
}

/// What was consumed in one calendar month or day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Window {
    pub(crate) start: Date,
    pub(crate) sum: Sum,
    pub(crate) categories: BTreeMap<String, Amount>,
}

/// One entry's part in the totals.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Term<'a> {
    pub(crate) sum: Sum,
    pub(crate) category: Option<&'a str>,
    /// The local date on which it happened.
    pub(crate) date: Date,
}

impl PairTotals {
    /// The most categories of one pair in one window.
    pub(crate) const CATEGORIES_MAX: usize = 64;

    pub(crate) fn new(pair: Pair) -> Self {
        Self {
            meter: pair.meter,
            unit: pair.unit,
            all: Sum::default(),
            months: Vec::new(),
            days: Vec::new(),
        }
    }

    pub(crate) fn is_of(&self, meter: &str, unit: &str) -> bool {
        self.meter == meter && self.unit == unit
    }

    /// Drops the windows that ended before `today`.
    pub(crate) fn drop_ended(&mut self, today: Date) {
        self.months.retain(|window| window.start >= month_of(today));
        self.days.retain(|window| window.start >= today);
    }

    /// Whether `add` would succeed; ended windows were dropped before.
    pub(crate) fn check(&self, term: Term<'_>) -> Result<(), Invalid> {
        self.all.checked_add(term.sum).ok_or_else(overflow)?;
        self.check_windows(term)
    }

    pub(crate) fn check_windows(&self, term: Term<'_>) -> Result<(), Invalid> {
        if let Some(window) = find(&self.months, month_of(term.date)) {
            window.check(term)?;
        }
        if let Some(window) = find(&self.days, term.date) {
            window.check(term)?;
        }
        Ok(())
    }

    /// Adds an entry on `today`; one of an ended window counts in `all` alone.
    pub(crate) fn add(&mut self, term: Term<'_>, today: Date) {
        self.all = self.all.checked_add(term.sum).expect("checked before");
        self.add_to_windows(term, today);
    }

    pub(crate) fn add_to_windows(&mut self, term: Term<'_>, today: Date) {
        if month_of(term.date) >= month_of(today) {
            open(&mut self.months, month_of(term.date)).add(term);
        }
        if term.date >= today {
            open(&mut self.days, term.date).add(term);
        }
    }

    /// By how many bytes this term makes its JSON longer, at the most.
    pub(crate) fn growth(&self, term: Term<'_>, today: Date) -> usize {
        let Some(category) = term.category else {
            return 0;
        };
        let of = |window: Option<&Window>| {
            let before = window.and_then(|window| window.categories.get(category));
            match before.map(|amount| (amount, amount.checked_add(term.sum.amount))) {
                None => category_bytes(category, term.sum.amount),
                Some((amount, sum)) => {
                    let after = sum.unwrap_or_default().printed_bytes();
                    after.saturating_sub(amount.printed_bytes())
                }
            }
        };
        let mut growth = 0;
        if month_of(term.date) >= month_of(today) {
            growth += of(find(&self.months, month_of(term.date)));
        }
        if term.date >= today {
            growth += of(find(&self.days, term.date));
        }
        growth
    }

    /// The most bytes that it takes as JSON in a feed message.
    pub(crate) fn json_bytes(&self) -> usize {
        // The longest field names, dates, counts and sums there are.
        const FRAME: usize = 480;
        let longest = |windows: &[Window]| windows.iter().map(Window::json_bytes).max();
        FRAME
            + escaped_bytes(&self.meter)
            + escaped_bytes(&self.unit)
            + longest(&self.months).unwrap_or(0)
            + longest(&self.days).unwrap_or(0)
    }

    /// About how much memory it takes, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        const CATEGORY: usize = 96;
        let windows = self.months.iter().chain(&self.days);
        let categories = windows.flat_map(|window| window.categories.keys());
        let categories = categories.map(|name| CATEGORY + name.len()).sum::<usize>();
        size_of::<Self>()
            + self.meter.len()
            + self.unit.len()
            + 4 * size_of::<Window>()
            + categories
    }
}

/// What a category adds to its window's JSON: quotes, a colon and a comma are 6 bytes.
fn category_bytes(name: &str, amount: Amount) -> usize {
    6 + escaped_bytes(name) + amount.printed_bytes()
}

/// The most bytes that a text takes inside a JSON string.
fn escaped_bytes(text: &str) -> usize {
    let bytes = text.bytes().map(|byte| match byte {
        0..0x20 => 6,
        b'"' | b'\\' => 2,
        _ => 1,
    });
    bytes.sum()
}

impl Window {
    fn new(start: Date) -> Self {
        Self {
            start,
            sum: Sum::default(),
            categories: BTreeMap::new(),
        }
    }

    fn json_bytes(&self) -> usize {
        let categories = self.categories.iter();
        categories
            .map(|(name, amount)| category_bytes(name, *amount))
            .sum()
    }

    fn check(&self, term: Term<'_>) -> Result<(), Invalid> {
        self.sum.checked_add(term.sum).ok_or_else(overflow)?;
        let Some(category) = term.category else {
            return Ok(());
        };
        match self.categories.get(category) {
            Some(amount) => amount
                .checked_add(term.sum.amount)
                .map(drop)
                .ok_or_else(overflow),
            None if self.categories.len() < PairTotals::CATEGORIES_MAX => Ok(()),
            None => Err(Invalid::new(
                "too_many_categories",
                "a meter and unit has at most 64 categories in a day or month: use fewer names",
            )),
        }
    }

    fn add(&mut self, term: Term<'_>) {
        self.sum = self.sum.checked_add(term.sum).expect("checked before");
        let Some(category) = term.category else {
            return;
        };
        match self.categories.get_mut(category) {
            Some(amount) => *amount = amount.checked_add(term.sum.amount).expect("checked before"),
            None => drop(self.categories.insert(category.to_owned(), term.sum.amount)),
        }
    }
}

fn overflow() -> Invalid {
    let message = "the account's total would no longer fit: it is exact or not at all";
    Invalid::new("amount_overflow", message)
}

fn find(windows: &[Window], start: Date) -> Option<&Window> {
    windows.iter().find(|window| window.start == start)
}

fn open(windows: &mut Vec<Window>, start: Date) -> &mut Window {
    let at = windows.iter().position(|window| window.start == start);
    let at = at.unwrap_or_else(|| {
        windows.push(Window::new(start));
        windows.len() - 1
    });
    &mut windows[at]
}

pub(crate) fn month_of(date: Date) -> Date {
    date.first_of_month()
}

/// The totals of one meter and unit at an instant, as clients see them.
#[derive(Debug, Serialize)]
pub(crate) struct Totals<'a> {
    meter: &'a str,
    unit: &'a str,
    all: Sum,
    month: WindowTotals<'a>,
    day: WindowTotals<'a>,
}

#[derive(Debug, Serialize)]
struct WindowTotals<'a> {
    start: Date,
    end: Date,
    #[serde(flatten)]
    sum: Sum,
    categories: &'a BTreeMap<String, Amount>,
}

static NO_CATEGORIES: BTreeMap<String, Amount> = BTreeMap::new();

impl<'a> Totals<'a> {
    pub(crate) fn at(pair: &'a PairTotals, zone: &Zone, now: Timestamp) -> Self {
        let today = zone.date_of(now);
        let month = month_of(today);
        Self {
            meter: &pair.meter,
            unit: &pair.unit,
            all: pair.all,
            month: WindowTotals::new(&pair.months, month, month.saturating_add(1.month())),
            day: WindowTotals::new(&pair.days, today, today.saturating_add(1.day())),
        }
    }
}

impl<'a> WindowTotals<'a> {
    fn new(windows: &'a [Window], start: Date, end: Date) -> Self {
        let window = find(windows, start);
        Self {
            start,
            end,
            sum: window.map_or(Sum::default(), |window| window.sum),
            categories: window.map_or(&NO_CATEGORIES, |window| &window.categories),
        }
    }
}
