//! What consumption *is*: events, amounts, entries, positions, totals, budgets. Pure: no I/O, no clock,
//! no randomness; the time and the random numbers it needs are passed in.

mod account;
mod alert;
mod amount;
mod budget;
mod checked_event;
mod entry;
mod event;
mod event_json;
mod invalid;
mod past;
mod placement;
mod position;
mod profile;
mod state;
mod time;
mod totals;
mod window;
mod zone;

pub use account::Account;
pub use amount::Amount;
pub use budget::Budget;
pub use entry::StoredEntry;
pub use event::{Event, EventKey, Kind, Reverses};
pub use invalid::Invalid;
pub use past::{DayTotals, PastTotals, Period};
pub use position::{Epoch, Position, Stamp};
pub use profile::{Profile, ProfileChange};
pub use state::AccountState;
pub use window::Sums;
pub use zone::Zone;

pub(crate) use alert::Alert;
pub(crate) use amount::amount_text;
pub(crate) use checked_event::CheckedEvent;
#[cfg(feature = "schema")]
pub(crate) use entry::AnyEntry;
pub(crate) use entry::{Entry, EntryHeader};
#[cfg(feature = "schema")]
pub(crate) use event_json::EventJson;
pub(crate) use event_json::{Attributes, from_object};
pub(crate) use past::Recount;
pub(crate) use placement::{Original, Placement};
pub(crate) use state::{Applied, Happened};
pub(crate) use time::EventTime;
pub(crate) use totals::{Pair, Totals};
