//! What consumption *is*: events, amounts, entries, positions, totals, budgets. Pure: no I/O, no clock,
//! no randomness; time and random numbers are passed in.

mod account;
mod alert;
mod amount;
mod budget;
mod entry;
mod event;
mod fired;
mod happened;
mod invalid;
mod placement;
mod position;
mod profile;
mod revocation;
mod state;
mod stored_entry;
mod time;
mod totals;
mod zone;

pub use account::Account;
pub use amount::Amount;
pub use budget::Budget;
pub use event::{Event, EventKey, Kind, Reverses};
pub use invalid::Invalid;
pub use position::{Epoch, Position, Stamp};
pub use profile::{Profile, ProfileChange};
pub use revocation::{Revocation, RevocationKey, StoredRevocation};
pub use state::AccountState;
pub use stored_entry::StoredEntry;
pub use totals::{DayTotals, PastTotals, Period, Sums};
pub use zone::Zone;

pub(crate) use alert::Alert;
pub(crate) use amount::amount_text;
#[cfg(feature = "schema")]
pub(crate) use entry::AnyEntry;
pub(crate) use entry::Entry;
#[cfg(feature = "schema")]
pub(crate) use event::EventJson;
pub(crate) use event::{Attributes, CheckedEvent, from_object};
pub(crate) use happened::Happened;
pub(crate) use placement::{Original, Placement};
pub(crate) use state::Applied;
pub(crate) use stored_entry::EntryHeader;
pub(crate) use time::EventTime;
pub(crate) use totals::{Pair, Recount, Totals};
