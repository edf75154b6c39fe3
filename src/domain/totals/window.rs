use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::domain::{Amount, Invalid};

/// A sum, and how many consumptions are in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct Sum {
    /// Consumption, adjustments and reversals, summed up.
    pub(crate) amount: Amount,
    /// How many consumptions are in it; those that were reversed are not.
    pub(crate) count: i64,
}

impl Sum {
    pub(crate) fn checked_add(self, other: Self) -> Option<Self> {
        Some(Self {
            amount: self.amount.checked_add(other.amount)?,
            count: self.count.checked_add(other.count)?,
        })
    }
}

/// What was consumed of one meter and unit in one window: the sum, and the amount of each category.
///
/// Ledgers store it as JSON, through serde.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sums {
    pub(crate) sum: Sum,
    pub(crate) categories: BTreeMap<String, Amount>,
}

/// One calendar month or day of an account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Window {
    pub(crate) start: Date,
    pub(crate) sums: Sums,
}

/// What one entry adds to the totals.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Term<'a> {
    pub(crate) sum: Sum,
    pub(crate) category: Option<&'a str>,
    /// The local date on which it happened.
    pub(crate) date: Date,
}

impl Sums {
    /// The most categories of one meter and unit in one window.
    pub(crate) const CATEGORIES_MAX: usize = 64;

    /// Checks that [`add`](Self::add) will succeed.
    ///
    /// # Errors
    /// `amount_overflow`, `too_many_categories`.
    pub(crate) fn check(&self, term: Term<'_>) -> Result<(), Invalid> {
        self.sum.checked_add(term.sum).ok_or_else(overflow)?;
        let Some(category) = term.category else {
            return Ok(());
        };
        match self.categories.get(category) {
            Some(amount) => amount
                .checked_add(term.sum.amount)
                .map(drop)
                .ok_or_else(overflow),
            None if self.categories.len() < Self::CATEGORIES_MAX => Ok(()),
            None => Err(too_many_categories()),
        }
    }

    /// Adds an entry.
    ///
    /// # Panics
    /// When the sum overflows, which [`check`](Self::check) refuses.
    pub(crate) fn add(&mut self, term: Term<'_>) {
        self.sum = self.sum.checked_add(term.sum).expect("checked before");
        let Some(category) = term.category else {
            return;
        };
        match self.categories.get_mut(category) {
            Some(amount) => *amount = amount.checked_add(term.sum.amount).expect("checked before"),
            None => drop(self.categories.insert(category.to_owned(), term.sum.amount)),
        }
    }

    /// Adds another window of the same pair. The result may have more categories than
    /// [`CATEGORIES_MAX`](Self::CATEGORIES_MAX).
    ///
    /// # Errors
    /// `amount_overflow`.
    pub(crate) fn merge(&mut self, other: &Self) -> Result<(), Invalid> {
        self.sum = self.sum.checked_add(other.sum).ok_or_else(overflow)?;
        for (name, amount) in &other.categories {
            let sum = self.categories.entry(name.clone()).or_default();
            *sum = sum.checked_add(*amount).ok_or_else(overflow)?;
        }
        Ok(())
    }

    /// # Errors
    /// `too_many_categories`.
    pub(crate) fn check_categories(&self) -> Result<(), Invalid> {
        if self.categories.len() > Self::CATEGORIES_MAX {
            return Err(too_many_categories());
        }
        Ok(())
    }

    /// The most bytes that this term adds to its JSON.
    pub(crate) fn growth(&self, term: Term<'_>) -> usize {
        let Some(category) = term.category else {
            return 0;
        };
        let Some(amount) = self.categories.get(category) else {
            return category_bytes(category, term.sum.amount);
        };
        let after = amount.checked_add(term.sum.amount).unwrap_or_default();
        after.printed_bytes().saturating_sub(amount.printed_bytes())
    }

    /// The most bytes of its categories as JSON.
    pub(crate) fn json_bytes(&self) -> usize {
        let categories = self.categories.iter();
        categories
            .map(|(name, amount)| category_bytes(name, *amount))
            .sum()
    }
}

impl Window {
    pub(crate) fn new(start: Date) -> Self {
        let sums = Sums::default();
        Self { start, sums }
    }
}

pub(crate) fn overflow() -> Invalid {
    let message = "the account's total would be too large to stay exact";
    Invalid::new("amount_overflow", message)
}

fn too_many_categories() -> Invalid {
    Invalid::new(
        "too_many_categories",
        "a meter and unit has at most 64 categories in a day or month: use fewer names",
    )
}

/// The most bytes of a category in its window's JSON. The quotes, the colon and the comma are 6 of them.
fn category_bytes(name: &str, amount: Amount) -> usize {
    6 + escaped_bytes(name) + amount.printed_bytes()
}

/// The most bytes of a text inside a JSON string, without the quotes.
pub(crate) fn escaped_bytes(text: &str) -> usize {
    let bytes = text.bytes().map(|byte| match byte {
        0..0x20 => 6,
        b'"' | b'\\' => 2,
        _ => 1,
    });
    bytes.sum()
}

/// The window that begins at `start`.
pub(crate) fn find(windows: &[Window], start: Date) -> Option<&Window> {
    windows.iter().find(|window| window.start == start)
}

/// The sums of the window that begins at `start`, which is added if it is missing.
pub(crate) fn open(windows: &mut Vec<Window>, start: Date) -> &mut Sums {
    let at = windows.iter().position(|window| window.start == start);
    let at = at.unwrap_or_else(|| {
        windows.push(Window::new(start));
        windows.len() - 1
    });
    &mut windows[at].sums
}

pub(crate) fn month_of(date: Date) -> Date {
    date.first_of_month()
}
