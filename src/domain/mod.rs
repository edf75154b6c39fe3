//! What consumption *is*: events, amounts, entries, positions, totals, budgets. Pure: no I/O, no clock,
//! no randomness; time and random numbers are passed in.

mod account;
mod alert;
mod amount;
mod budget;
mod checked_event;
mod day_totals;
mod entry;
mod event;
mod event_json;
mod event_key;
mod fired;
mod happened;
mod invalid;
mod json_object;
mod kind;
mod names;
mod past_totals;
mod period;
mod placement;
mod position;
mod profile;
mod recount;
mod reverses;
mod state;
mod stored_entry;
mod time;
mod totals;
mod window;
mod zone;

pub use account::Account;
pub use amount::Amount;
pub use budget::Budget;
pub use day_totals::DayTotals;
pub use event::Event;
pub use event_key::EventKey;
pub use invalid::Invalid;
pub use kind::Kind;
pub use past_totals::PastTotals;
pub use period::Period;
pub use position::{Epoch, Position, Stamp};
pub use profile::{Profile, ProfileChange};
pub use reverses::Reverses;
pub use state::AccountState;
pub use stored_entry::StoredEntry;
pub use window::Sums;
pub use zone::Zone;

pub(crate) use alert::Alert;
pub(crate) use amount::amount_text;
pub(crate) use checked_event::CheckedEvent;
#[cfg(feature = "schema")]
pub(crate) use entry::AnyEntry;
pub(crate) use entry::Entry;
pub(crate) use event_json::Attributes;
#[cfg(feature = "schema")]
pub(crate) use event_json::EventJson;
pub(crate) use happened::Happened;
pub(crate) use json_object::from_object;
pub(crate) use placement::{Original, Placement};
pub(crate) use recount::Recount;
pub(crate) use state::Applied;
pub(crate) use stored_entry::EntryHeader;
pub(crate) use time::EventTime;
pub(crate) use totals::{Pair, Totals};
