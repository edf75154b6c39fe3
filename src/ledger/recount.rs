use super::{HappenedEntry, LedgerError};
use crate::domain::Recount;

/// How many entries are read at a time: a megabyte, in about five milliseconds.
const PAGE_ENTRIES: usize = 2_000;

/// Counts the next entries that are not counted yet, and returns whether these were the last. `page` reads a number of
/// entries after an offset.
pub(super) fn count_page(
    recount: &mut Recount,
    page: impl FnOnce(u64, usize) -> Result<Vec<HappenedEntry>, LedgerError>,
) -> Result<bool, LedgerError> {
    let entries = page(recount.through(), PAGE_ENTRIES)?;
    for entry in &entries {
        recount.add(&entry.read());
    }
    Ok(entries.len() < PAGE_ENTRIES)
}
