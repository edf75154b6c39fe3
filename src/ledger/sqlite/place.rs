//! Places: integers that sort entries by account, then by offset.

use std::ops::RangeInclusive;

/// The lower half of a place is the offset, the upper half the account's number.
const OFFSET_BITS: u32 = 32;
const OFFSET_MAX: i64 = (1 << OFFSET_BITS) - 1;
const NUMBER_MAX: i64 = i64::MAX >> OFFSET_BITS;

/// The place of an entry; `None` if the account's number or the offset is too large for it.
pub(super) fn place(number: i64, offset: u64) -> Option<i64> {
    let offset = i64::try_from(offset).ok()?;
    let fits = number <= NUMBER_MAX && offset <= OFFSET_MAX;
    fits.then_some((number << OFFSET_BITS) | offset)
}

/// The places of an account's entries after an offset.
pub(super) fn after(number: i64, offset: u64) -> RangeInclusive<i64> {
    let last = (number << OFFSET_BITS) | OFFSET_MAX;
    match place(number, offset) {
        Some(before) => before + 1..=last,
        // An empty range: no entry has a greater offset.
        None => last..=last - 1,
    }
}

/// The places of an account's entries before an offset.
pub(super) fn before(number: i64, offset: u64) -> RangeInclusive<i64> {
    let first = number << OFFSET_BITS;
    match place(number, offset) {
        Some(end) => first..=end - 1,
        None => first..=first | OFFSET_MAX,
    }
}

/// An offset in SQL. Offsets are below 2^53; a caller's greater value means the end.
pub(super) fn sql_integer(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}
