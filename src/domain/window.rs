use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{Amount, Invalid};

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

/// What was consumed of one meter and unit in one window, in all and by category.
///
/// Ledgers keep it as JSON, through serde.
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

/// One entry's part in the totals.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Term<'a> {
    pub(crate) sum: Sum,
    pub(crate) category: Option<&'a str>,
    /// The local date on which it happened.
    pub(crate) date: Date,
}

impl Sums {
    /// The most categories of one pair in one window.
    pub(crate) const CATEGORIES_MAX: usize = 64;

    /// Whether `add` would succeed.
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

    /// # Panics
    /// When `check` would have refused the sum.
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

    /// Takes in another window of the same pair; the categories may become more than one takes by
    /// itself.
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

    /// By how many bytes this term makes its JSON longer, at the most.
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

    /// The bytes of its categories as JSON.
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
    let message = "the account's total would no longer fit: it is exact or not at all";
    Invalid::new("amount_overflow", message)
}

fn too_many_categories() -> Invalid {
    Invalid::new(
        "too_many_categories",
        "a meter and unit has at most 64 categories in a day or month: use fewer names",
    )
}

/// What a category adds to its window's JSON: quotes, a colon and a comma are 6 bytes.
fn category_bytes(name: &str, amount: Amount) -> usize {
    6 + escaped_bytes(name) + amount.printed_bytes()
}

/// The most bytes that a text takes inside a JSON string.
pub(crate) fn escaped_bytes(text: &str) -> usize {
    let bytes = text.bytes().map(|byte| match byte {
        0..0x20 => 6,
        b'"' | b'\\' => 2,
        _ => 1,
    });
    bytes.sum()
}

pub(crate) fn find(windows: &[Window], start: Date) -> Option<&Window> {
    windows.iter().find(|window| window.start == start)
}

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
