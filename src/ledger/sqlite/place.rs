//! Where entries lie in their table: an account's side by side, in their order.

use std::ops::RangeInclusive;

/// The lower half of a place is the offset, the upper one the account's number.
const OFFSET_BITS: u32 = 32;
const OFFSET_MAX: i64 = (1 << OFFSET_BITS) - 1;
const NUMBER_MAX: i64 = i64::MAX >> OFFSET_BITS;

/// The place of an entry; of none if there are too many accounts, or too many entries in this one.
pub(super) fn place(number: i64, offset: u64) -> Option<i64> {
    let offset = i64::try_from(offset).ok()?;
    let is_there = number <= NUMBER_MAX && offset <= OFFSET_MAX;
    is_there.then_some((number << OFFSET_BITS) | offset)
}

/// The places of an account's entries after an offset.
pub(super) fn after(number: i64, offset: u64) -> RangeInclusive<i64> {
    let last = (number << OFFSET_BITS) | OFFSET_MAX;
    match place(number, offset) {
        Some(before) => before + 1..=last,
        // Behind the last there is none.
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
