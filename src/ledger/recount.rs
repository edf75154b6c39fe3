use super::{HappenedEntry, LedgerError};
use crate::domain::Recount;

/// How many entries are read at a time: a few megabytes.
const PAGE_ENTRIES: usize = 5_000;

/// Counts all entries that are not counted yet. `page` reads a number of entries after an offset.
pub(super) fn count_all(
    recount: &mut Recount,
    mut page: impl FnMut(u64, usize) -> Result<Vec<HappenedEntry>, LedgerError>,
) -> Result<(), LedgerError> {
    loop {
        let entries = page(recount.through(), PAGE_ENTRIES)?;
        for entry in &entries {
            recount.add(&entry.read());
        }
        if entries.len() < PAGE_ENTRIES {
            return Ok(());
        }
    }
}
